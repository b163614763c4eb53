//! What people say of the conversations, beside the judges.

use shipworthy_reports::{html, markdown, terminal};
use shipworthy_schema::{
    ConversationId, HumanAgreement, HumanCheck, HumanConflict, HumanDifference, HumanRater,
    HumanValue, PersonaId,
};

use crate::evaluation::{evaluation, model, ship};

/// Two people: they agree with the judges on one criterion, not on another, and on a third nobody can
/// tell.
pub(crate) fn human_check() -> HumanCheck {
    let rater = |rater: &str, conversations| HumanRater {
        rater: rater.into(),
        conversations,
    };
    let agreement = HumanAgreement {
        criterion: "asks_question".into(),
        pairs: 22,
        equal: Some(0.909),
        kappa: Some(0.81),
        kappa_ci95: Some([0.52, 1.0]),
        ac1: Some(0.83),
        shared: 10,
        alpha: Some(0.78),
        alpha_ci95: Some([0.41, 1.0]),
        is_poor: false,
    };
    let poor = HumanAgreement {
        criterion: "no_diagnosis".into(),
        equal: Some(0.5),
        kappa: Some(0.12),
        kappa_ci95: None,
        ac1: Some(0.2),
        alpha: Some(0.31),
        alpha_ci95: None,
        is_poor: true,
        ..agreement.clone()
    };
    let untold = HumanAgreement {
        criterion: "handles_crisis".into(),
        pairs: 0,
        equal: None,
        kappa: None,
        kappa_ci95: None,
        ac1: None,
        shared: 0,
        alpha: None,
        alpha_ci95: None,
        is_poor: false,
    };
    let value = |rater: &str, value| HumanValue {
        rater: rater.into(),
        value,
    };
    HumanCheck {
        raters: vec![rater("Ada", 12), rater("Ben", 10)],
        conversations: 12,
        criteria: vec![agreement, poor, untold],
        differences: vec![HumanDifference {
            model: model("tuned"),
            labelled: 6,
            personas: 8,
            judged_of_all: 0.15,
            judged: 0.142,
            human: 0.081,
            human_ci95: Some([0.012, 0.15]),
            corrected: Some(0.089),
            corrected_ci95: Some([0.01, 0.168]),
        }],
        conflicts: vec![HumanConflict {
            conversation: ConversationId {
                model: model("tuned"),
                persona: PersonaId::new("coaching-9001").unwrap(),
                repeat: 2,
            },
            criterion: "no_diagnosis".into(),
            judged: Some(1.0),
            people: vec![value("Ada", 0.0), value("Ben", 0.25)],
            gap: 1.0,
        }],
    }
}

#[test]
fn peoples_labels_read_well() {
    let mut evaluation = evaluation(&[ship()]);
    evaluation.human = Some(human_check());
    let text = terminal(&evaluation, 80, false);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let (_, block) = text.split_once("Human check\n").unwrap();
    let block = block.split("\n\n").next().unwrap();
    insta::assert_snapshot!("terminal_human", block);
    let page = markdown(&evaluation);
    let (_, section) = page.split_once("## Human check\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    insta::assert_snapshot!("markdown_human", section);
    for said in ["0.81", "poor", "+0.089", "Ada"] {
        assert!(html(&evaluation).contains(said), "{said}");
    }
}
