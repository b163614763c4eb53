//! Task files of ours: one question a line.

use std::path::Path;

use serde_json::{Map, Value};
use shipworthy_datasets::RowFile;

use super::item_fields::{check_choices, gold, kind, texts};
use super::{
    ChoiceItem, GenerationItem, GenerationRules, Ignored, Metric, Questions, Task, TaskError,
    TaskProblem, stem,
};

/// What an answer in the model's own words is taken by.
const RULES: GenerationRules = GenerationRules {
    until: Vec::new(),
    max_tokens: 64,
    ignored: Ignored {
        outer_blanks: true,
        case: false,
        punctuation: false,
        numbers: false,
    },
};

/// Reads questions: `prompt`, `answer`, and `choices` where answers are given. What else a row has is
/// passed over.
pub(super) fn read(path: &Path) -> Result<Task, TaskError> {
    let wrong = |problem| TaskError {
        path: path.to_owned(),
        problem,
    };
    let rows = RowFile::open(path).map_err(|error| wrong(TaskProblem::Data(error)))?;
    let name = rows.name().to_owned();
    let (mut choices, mut generations) = (Vec::new(), Vec::new());
    for row in rows {
        let (place, fields) = row.map_err(|error| wrong(TaskProblem::Data(error)))?;
        let id = format!("{name}:{}", place.number());
        let fault = |detail: String| {
            wrong(TaskProblem::Row {
                place: id.clone(),
                detail,
            })
        };
        let fields = fields.map_err(|problem| fault(problem.to_string()))?;
        match question(&id, &fields).map_err(fault)? {
            Question::Choice(item) => choices.push(item),
            Question::Generation(item) => generations.push(item),
        }
        if let (Some(choice), Some(generation)) = (choices.first(), generations.first()) {
            return Err(wrong(TaskProblem::Row {
                place: id,
                detail: format!(
                    "`{}` has choices and `{}` has none; give each kind a file of its own",
                    choice.id, generation.id
                ),
            }));
        }
    }
    let (metrics, questions) = match (choices.is_empty(), generations.is_empty()) {
        (true, true) => return Err(wrong(TaskProblem::Empty)),
        (false, _) => {
            let metrics = vec![Metric::Acc, Metric::AccNorm];
            (metrics, Questions::Choice(choices))
        }
        (true, false) => {
            let rules = GenerationRules {
                until: vec!["\n".to_owned()],
                ..RULES
            };
            let questions = Questions::Generation(generations, rules);
            (vec![Metric::ExactMatch], questions)
        }
    };
    Ok(Task {
        name: stem(path),
        metrics,
        questions,
    })
}

enum Question {
    Choice(ChoiceItem),
    Generation(GenerationItem),
}

fn question(id: &str, fields: &Map<String, Value>) -> Result<Question, String> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let expected = |name: &str, expected: &str, value: Option<&Value>| {
        let got = value.map_or_else(|| "nothing".to_owned(), kind);
        format!("field `{name}`: expected {expected}, got {got}")
    };
    let prompt = field("prompt");
    let Some(text) = prompt.and_then(Value::as_str) else {
        return Err(expected("prompt", "a text", prompt));
    };
    let answer = field("answer");
    if let Some(choices) = field("choices") {
        let wanted = || expected("choices", "a list of texts", Some(choices));
        let choices = texts(choices).ok_or_else(wanted)?;
        check_choices(&choices)?;
        return Ok(Question::Choice(ChoiceItem {
            id: id.to_owned(),
            context: text.to_owned(),
            delimiter: " ".to_owned(),
            gold: gold(answer.unwrap_or(&Value::Null), &choices)?,
            choices,
        }));
    }
    let golds = match answer {
        Some(Value::String(answer)) => Some(vec![answer.clone()]),
        Some(answer) => texts(answer),
        None => None,
    };
    let golds = golds.filter(|golds| !golds.is_empty());
    Ok(Question::Generation(GenerationItem {
        id: id.to_owned(),
        prompt: text.to_owned(),
        golds: golds.ok_or_else(|| expected("answer", "a text or a list of texts", answer))?,
    }))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn read_text(text: &str) -> Result<Task, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("animals.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.problem.to_string())
    }

    #[test]
    fn both_kinds_are_read() {
        let task = read_text(
            r#"{"prompt": "A cat says", "choices": ["moo", "miaow"], "answer": 1, "topic": "x"}
               {"prompt": "A cow says", "choices": ["moo", "miaow"], "answer": "moo"}"#,
        )
        .unwrap();
        assert_eq!((task.name.as_str(), task.metrics.len()), ("animals", 2));
        let Questions::Choice(items) = task.questions else {
            panic!()
        };
        assert_eq!((items[0].gold, items[1].gold), (1, 0));
        assert_eq!(items[1].id, "animals.jsonl:2");
        let task = read_text(r#"{"prompt": "A cow says", "answer": ["moo", "Moo"]}"#).unwrap();
        assert_eq!(task.metrics, [Metric::ExactMatch]);
        assert_eq!(task.questions.len(), 1);
    }

    #[test_case("", "it has no question"; "nothing")]
    #[test_case(r#"{"answer": "moo"}"#, "animals.jsonl:1: field `prompt`: expected a text, got nothing"; "no prompt")]
    #[test_case(r#"{"prompt": "a", "choices": ["b"], "answer": 0}"#, "it has 1 choices"; "one choice")]
    #[test_case(r#"{"prompt": "a", "choices": ["b", ""], "answer": 0}"#, "choice 1 is empty"; "an empty choice")]
    #[test_case(r#"{"prompt": "a", "choices": ["b", "c"], "answer": 2}"#, "the answer is the number 2"; "a place too far")]
    #[test_case(r#"{"prompt": "a", "choices": ["b", "c"]}"#, "the answer is nothing"; "no answer")]
    #[test_case(r#"{"prompt": "a", "answer": []}"#, "expected a text or a list of texts, got a list"; "no answers")]
    #[test_case("{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 0}", "give each kind a file of its own"; "mixed")]
    fn rows_that_are_wrong_are_told(text: &str, expected: &str) {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
