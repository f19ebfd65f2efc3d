//! Who may do what to a relationship and to a tenant: complete golden tables, to be read by people.

#![expect(clippy::unwrap_used, reason = "a test stops at the first failure")]

use std::fmt::Write as _;

use procura_domain::{
    Access, Caller, Permit, Relationship, RelationshipKind, RelationshipRole, RelationshipState,
    UserRole,
    policy::Denied,
    relationship::{Approval, Conditions, Origin, Phase, Side, Step, StepError},
};
use procura_token::{RelationshipId, SessionId, TenantId, Ts, UserId};

const CUSTOMER: TenantId = TenantId::from_bits(1);
const PARTNER: TenantId = TenantId::from_bits(2);
const STRANGER: TenantId = TenantId::from_bits(3);
const NOW: Ts = Ts(1_763_690_100_000_000);

fn relationship(state: RelationshipState, suspended_by: Option<Side>) -> Relationship {
    Relationship {
        id: RelationshipId::from_bits(1),
        partner: PARTNER,
        customer: CUSTOMER,
        kind: RelationshipKind::Manages,
        origin: Origin::Requested,
        role: RelationshipRole::MspSupport,
        custom_permissions: None,
        state,
        suspended_by,
        starts_at: None,
        ends_at: None,
        renews_for_days: None,
        access: Access::On,
        approval: Approval::Standing,
        conditions: Conditions::default(),
        version: 1,
    }
}

/// Each cell has three letters, for the customer, the partner and the operator:
/// `y` the step is taken, `n` not this side's to take, `w` not in this state.
/// The steps lead to: approve → active, decline and withdraw → declined, suspend → suspended,
/// resume → active, end → ended.
const STEPS: &str = "
stored      stopped by  dates      shown as   | approve decline withdraw suspend resume end
requested   -           open       requested  | ynn     ynn     nyn      www     www    www
requested   -           not begun  requested  | ynn     ynn     nyn      www     www    www
requested   -           over       requested  | ynn     ynn     nyn      www     www    www
active      -           open       active     | wnn     wnn     nwn      yyy     www    yyy
active      -           not begun  scheduled  | wnn     wnn     nwn      yyy     www    yyy
active      -           over       expired    | wnn     wnn     nwn      www     www    yyy
suspended   -           open       suspended  | wnn     wnn     nwn      www     nnn    yyy
suspended   -           not begun  suspended  | wnn     wnn     nwn      www     nnn    yyy
suspended   -           over       expired    | wnn     wnn     nwn      www     www    yyy
suspended   customer    open       suspended  | wnn     wnn     nwn      www     ynn    yyy
suspended   customer    not begun  suspended  | wnn     wnn     nwn      www     ynn    yyy
suspended   customer    over       expired    | wnn     wnn     nwn      www     www    yyy
suspended   partner     open       suspended  | wnn     wnn     nwn      yww     nyn    yyy
suspended   partner     not begun  suspended  | wnn     wnn     nwn      yww     nyn    yyy
suspended   partner     over       expired    | wnn     wnn     nwn      www     www    yyy
suspended   operator    open       suspended  | wnn     wnn     nwn      www     nny    yyy
suspended   operator    not begun  suspended  | wnn     wnn     nwn      www     nny    yyy
suspended   operator    over       expired    | wnn     wnn     nwn      www     www    yyy
declined    -           open       declined   | wnn     wnn     nwn      www     www    www
declined    -           not begun  declined   | wnn     wnn     nwn      www     www    www
declined    -           over       declined   | wnn     wnn     nwn      www     www    www
expired     -           open       expired    | wnn     wnn     nwn      www     www    www
expired     -           not begun  expired    | wnn     wnn     nwn      www     www    www
expired     -           over       expired    | wnn     wnn     nwn      www     www    www
ended       -           open       ended      | wnn     wnn     nwn      www     www    www
ended       -           not begun  ended      | wnn     wnn     nwn      www     www    www
ended       -           over       ended      | wnn     wnn     nwn      www     www    www
";

/// Where a step leads, if it is taken.
const fn leads_to(step: Step) -> RelationshipState {
    match step {
        Step::Approve | Step::Resume => RelationshipState::Active,
        Step::Decline | Step::Withdraw => RelationshipState::Declined,
        Step::Suspend => RelationshipState::Suspended,
        Step::End => RelationshipState::Ended,
    }
}

fn cell(step: Step, relationship: &Relationship) -> String {
    let letter = |side| match step.apply(relationship, side, NOW) {
        Ok(state) => {
            assert_eq!(state, leads_to(step), "{step}");
            'y'
        }
        Err(StepError::NotYours) => 'n',
        Err(StepError::WrongState) => 'w',
    };
    [Side::Customer, Side::Partner, Side::Operator].map(letter).iter().collect()
}

/// The words of each line, without the padding.
fn squeezed(table: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    table.lines().filter(|line| !line.is_empty()).map(words).collect()
}

#[test]
fn every_step_has_one_reviewed_answer_in_every_state_on_every_side() {
    let mut table = String::from(
        "stored stopped by dates shown as | approve decline withdraw suspend resume end\n",
    );
    for state in RelationshipState::ALL {
        let stoppers: &[Option<Side>] = match state {
            RelationshipState::Suspended => {
                &[None, Some(Side::Customer), Some(Side::Partner), Some(Side::Operator)]
            }
            _ => &[None],
        };
        for stopper in stoppers {
            let stopped_by = stopper.map_or("-", Side::as_str);
            for (dates, starts_at, ends_at) in [
                ("open", Some(NOW), Some(Ts(NOW.0 + 1))),
                ("not begun", Some(Ts(NOW.0 + 1)), None),
                ("over", None, Some(NOW)),
            ] {
                let edge = Relationship { starts_at, ends_at, ..relationship(*state, *stopper) };
                let shown = edge.phase(NOW).as_str();
                write!(table, "{state} {stopped_by} {dates} {shown} |").unwrap();
                for step in Step::ALL {
                    write!(table, " {}", cell(*step, &edge)).unwrap();
                }
                table.push('\n');
            }
        }
    }
    let (expected, actual) = (squeezed(STEPS), squeezed(&table));
    let order = |state: &str| RelationshipState::ALL.iter().position(|s| s.as_str() == state);
    let sorted = |mut rows: Vec<String>| {
        rows.sort_by_key(|row| row.split(' ').next().map(order));
        rows
    };
    assert_eq!(sorted(actual), sorted(expected), "\n{table}");
}

#[test]
fn who_suspended_it_counts_only_while_it_is_suspended() {
    // The field is left from earlier in no state but `suspended`; if it is, it means nothing.
    for state in RelationshipState::ALL.iter().filter(|s| **s != RelationshipState::Suspended) {
        let clean = relationship(*state, None);
        for stopper in Side::ALL {
            let stale = relationship(*state, Some(*stopper));
            for step in Step::ALL {
                assert_eq!(cell(*step, &stale), cell(*step, &clean), "{step} {state}");
            }
        }
    }
}

#[test]
fn no_step_leads_back_from_an_end_and_no_side_wakes_what_another_stopped() {
    use RelationshipState::{Declined, Ended, Expired, Suspended};
    for side in Side::ALL {
        for state in [Declined, Ended, Expired] {
            assert!(!state.is_live());
            let over = relationship(state, None);
            assert!(Step::ALL.iter().all(|step| step.apply(&over, *side, NOW).is_err()));
        }
        for stopper in Side::ALL.iter().filter(|stopper| *stopper != side) {
            let stopped = relationship(Suspended, Some(*stopper));
            for step in Step::ALL.iter().filter(|step| **step != Step::End) {
                let after = step.apply(&stopped, *side, NOW);
                assert_ne!(after, Ok(RelationshipState::Active), "{side} {step}");
            }
        }
    }
}

#[test]
fn in_force_is_from_the_start_until_just_before_the_end() {
    let begin = Ts(NOW.0 - 10);
    let edge = Relationship {
        starts_at: Some(begin),
        ends_at: Some(NOW),
        ..relationship(RelationshipState::Active, None)
    };
    for (at, phase) in [
        (Ts(begin.0 - 1), Phase::Scheduled),
        (begin, Phase::Stored(RelationshipState::Active)),
        (Ts(NOW.0 - 1), Phase::Stored(RelationshipState::Active)),
        (NOW, Phase::Expired),
    ] {
        assert_eq!(edge.phase(at), phase);
        assert_eq!(edge.is_active(at), phase == Phase::Stored(RelationshipState::Active));
    }
}

/// `C P O`: permitted, on the side of the customer, the partner, the operator; `y`: permitted;
/// `F`: forbidden, `H`: hidden. A `manages` edge leads from a partner to a customer; `step` is asked
/// by somebody of the customer's tenant, of the partner's, and of a third.
const POLICY: &str = "
                  administer   switch  represent  step in a relationship      read        list
role              own   other  access  partner    customer partner stranger   own  other  managed
super-admin       O     O      F       F          O        O       O          y    y      F
tenant-admin      C     H      C       F          C        F       H          y    H      y
support-agent     F     H      F       F          F        F       H          F    H      F
member            F     H      F       F          F        F       H          F    H      F
partner-admin     F     H      F       P          F        P       H          y    H      y
partner-support   F     H      F       F          F        F       H          F    H      y
partner-billing   F     H      F       F          F        F       H          F    H      y
partner-auditor   F     H      F       F          F        F       H          y    H      y
nothing           F     H      F       F          F        F       H          F    H      F
";

fn caller(tenant: TenantId, roles: &[UserRole]) -> Caller {
    Caller {
        key: None,
        user: UserId::from_bits(1),
        tenant,
        roles: roles.to_vec(),
        scope: "operator.admin partner.tenants.list tenant.admin".parse().unwrap(),
        session: SessionId::from_bits(1),
        client: "cli_console".parse().unwrap(),
    }
}

/// The letter of an answer. A permit must be for the tenant of its side.
fn permit(answer: Result<Permit, Denied>, tenant: TenantId) -> char {
    match answer {
        Ok(permit) => {
            assert_eq!(permit.tenant(), tenant, "a permit for another tenant");
            match permit.side() {
                Side::Customer => 'C',
                Side::Partner => 'P',
                Side::Operator => 'O',
            }
        }
        Err(denied) => letter(denied),
    }
}

const fn letter(denied: Denied) -> char {
    match denied {
        Denied::Forbidden => 'F',
        Denied::Hidden => 'H',
    }
}

fn policy_row(name: &str, roles: &[UserRole]) -> String {
    let edge = relationship(RelationshipState::Active, None);
    let [at_customer, at_partner, at_stranger] =
        [CUSTOMER, PARTNER, STRANGER].map(|tenant| caller(tenant, roles));
    let yes = |answer: Result<(), Denied>| answer.map_or_else(letter, |()| 'y');
    let step_of_partner = at_partner.step(&edge);
    let is_operator = step_of_partner.as_ref().is_ok_and(|p| p.side() == Side::Operator);
    let cells = [
        permit(at_customer.administer(CUSTOMER), CUSTOMER),
        permit(at_customer.administer(STRANGER), STRANGER),
        permit(at_customer.switch_access(), CUSTOMER),
        permit(at_partner.represent_partner(), PARTNER),
        permit(at_customer.step(&edge), CUSTOMER),
        // The operator acts on what is the customer's.
        permit(step_of_partner, if is_operator { CUSTOMER } else { PARTNER }),
        permit(at_stranger.step(&edge), CUSTOMER),
        yes(at_customer.read(CUSTOMER)),
        yes(at_customer.read(STRANGER)),
        yes(at_customer.list_managed()),
    ];
    cells.iter().fold(name.to_owned(), |row, cell| format!("{row} {cell}"))
}

#[test]
fn every_role_has_one_reviewed_answer_to_every_question_of_the_policy() {
    let mut actual: Vec<_> =
        UserRole::ALL.iter().map(|role| policy_row(role.as_str(), &[*role])).collect();
    actual.push(policy_row("nothing", &[]));
    assert_eq!(actual, squeezed(POLICY).split_off(2), "\n{}", actual.join("\n"));
}

#[test]
fn who_holds_two_roles_may_what_either_may_and_speaks_for_the_own_side_first() {
    let edge = relationship(RelationshipState::Active, None);
    let both = [UserRole::SuperAdmin, UserRole::TenantAdmin, UserRole::PartnerAdmin];
    assert_eq!(permit(caller(CUSTOMER, &both).step(&edge), CUSTOMER), 'C');
    assert_eq!(permit(caller(PARTNER, &both).step(&edge), PARTNER), 'P');
    assert_eq!(permit(caller(STRANGER, &both).step(&edge), CUSTOMER), 'O');
    assert_eq!(permit(caller(CUSTOMER, &both).administer(CUSTOMER), CUSTOMER), 'C');
    assert_eq!(permit(caller(CUSTOMER, &both).administer(STRANGER), STRANGER), 'O');
    // The switch is the own tenant's, also for an operator who administers a tenant.
    assert_eq!(permit(caller(STRANGER, &both).switch_access(), STRANGER), 'C');
}

#[test]
fn every_word_is_read_as_it_is_written() {
    for state in RelationshipState::ALL {
        assert_eq!(state.to_string().parse(), Ok(*state));
    }
    for step in Step::ALL {
        assert_eq!(step.as_str().parse(), Ok(*step));
    }
    for role in UserRole::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
        assert_eq!(role.is_partner_role(), role.as_str().starts_with("partner-"));
    }
    for role in RelationshipRole::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
    }
    assert!("Active".parse::<RelationshipState>().is_err());
}

#[test]
fn only_who_could_enter_somewhere_may_switch_context() {
    use procura_domain::permission::SWITCH_CONTEXT;
    for role in UserRole::ALL {
        let can_enter = RelationshipKind::ALL.iter().any(|kind| role.reach(*kind).is_some());
        assert_eq!(role.home_scope().contains(&SWITCH_CONTEXT), can_enter, "{role}");
    }
}
