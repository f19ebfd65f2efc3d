//! The customer's partner code: whoever has it may ask for a relationship. The customer changes it when too many
//! have it.

use procura_token::TenantId;
use serde_json::Map;

use crate::{
    Error, Issuer, Result,
    break_glass::permit,
    hand::{Hand, Subject},
};

impl Issuer {
    /// Gives the customer another partner code and answers it. The old one opens nothing from then on; what was
    /// asked with it still waits for the customer's answer.
    pub async fn change_partner_code(&self, hand: Hand<'_>, customer: TenantId) -> Result<String> {
        let tenant = permit(hand.caller(), customer)?.tenant();
        let code = self.0.environment.secret()?;
        let mut tx = self.begin_by(hand).await?;
        if !tx.update_partner_code(tenant, &code).await? {
            return Err(Error::NotFound);
        }
        let id = tenant.to_string();
        let about = Subject { tenant, kind: "tenant", id: &id };
        tx.audit(self.entry_by(hand, "partner_code.change", about, Map::new())?);
        tx.commit().await?;
        Ok(code)
    }
}
