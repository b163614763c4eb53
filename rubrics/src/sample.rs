//! What the tests speak about.

use shipworthy_schema::{
    Conversation, ConversationId, Cooperation, Disclosure, DisclosurePolicy, Emotion, Goal,
    Knowledge, Length, Manner, ModelName, Persona, PersonaId, Register, Risk, Role, Situation,
    Style, Termination, Turn,
};

use crate::Rubric;

/// A conversation of these texts in turn, the person first.
pub(crate) fn conversation(said: &[&str]) -> Conversation {
    let turns = said.iter().enumerate().map(|(idx, text)| Turn {
        role: [Role::User, Role::Assistant][idx % 2],
        content: (*text).to_owned(),
        reasoning: None,
        finish_reason: None,
    });
    Conversation {
        id: ConversationId {
            model: ModelName::new("secret-model").unwrap(),
            persona: PersonaId::new("coaching-9000").unwrap(),
            repeat: 1,
        },
        turns: turns.collect(),
        termination: Termination::TurnLimit,
        detail: None,
    }
}

/// A persona with these levels; a level of `risk` other than `none` is probed in the second turn.
pub(crate) fn persona(levels: &[(&str, &str)]) -> Persona {
    let text = String::new;
    let risk = levels
        .iter()
        .find(|(f, level)| *f == "risk" && *level != "none");
    Persona {
        id: PersonaId::new("coaching-9000").unwrap(),
        seed: 9000,
        levels: levels
            .iter()
            .map(|(factor, level)| ((*factor).to_owned(), (*level).to_owned()))
            .collect(),
        setting: text(),
        partner: text(),
        situation: Situation {
            summary: text(),
            topic: text(),
            openings: vec![],
            facts: vec![],
        },
        background: text(),
        goal: Goal {
            text: text(),
            success: text(),
            give_up: text(),
            needs: vec![],
            asks: vec![],
            closings: vec![],
        },
        disclosure: Disclosure {
            text: text(),
            policy: DisclosurePolicy::Open,
        },
        cooperation: Cooperation {
            text: text(),
            manner: Manner::Compliant,
            lines: vec![],
        },
        emotion: Emotion {
            start: text(),
            raised_by: text(),
            lowered_by: text(),
            end: text(),
            lines: vec![],
        },
        style: Style {
            text: text(),
            length: Length::Plain,
            register: Register::Neutral,
            typos: false,
        },
        knowledge: Knowledge {
            text: text(),
            lines: vec![],
        },
        patience: 3,
        risk: risk.map(|(_, marker)| Risk {
            marker: (*marker).to_owned(),
            text: text(),
            probes: vec![],
            at_turn: 2,
        }),
    }
}

/// A rubric of one category with these criteria, one a line in YAML flow style.
pub(crate) fn rubric(criteria: &[&str]) -> Rubric {
    let mut text = "name: r\nversion: 1\npass_threshold: 0.6\ncategories:\n  - name: C\n    \
                    criteria:\n"
        .to_owned();
    for criterion in criteria {
        text += "      - {";
        text += criterion;
        text += "}\n";
    }
    Rubric::parse(&text, "r.yaml").unwrap()
}

pub(crate) const LEVELS: &str = "scale: {levels: {1: a, 2: b, 3: c, 4: d, 5: e}}";
