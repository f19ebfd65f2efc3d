//! Whoever is the last admin stays, also where two nodes are asked at once.

use super::first_node;
use crate::walkthrough::last_admins::one_of_two_stays;

#[tokio::test]
async fn of_two_admins_who_shut_each_other_out_at_two_nodes_one_stays() {
    let one = first_node();
    let two = one.another_node();
    one_of_two_stays(&one, &two).await;
}
