//! lm-eval's task files: the plain subset, in which nothing is code.
//!
//! Prompts and continuations are put together as `ConfigurableTask` of lm-eval 0.4 does without
//! examples in the prompt and without a chat template.

use std::path::Path;

use serde_json::{Map, Value, json};
use shipworthy_datasets::RowFile;

use super::item_fields::{check_choices, gold, kind, texts};
use super::jinja::Template;
use super::lm_eval_fields::{Fields, unsupported, wrong};
use super::python_literal;
use super::{
    ChoiceItem, GenerationItem, GenerationRules, Ignored, Metric, Questions, Task, TaskError,
    TaskProblem, stem,
};

/// Tokens of an answer where nothing is said, as there.
const MAX_TOKENS: usize = 256;

/// Reads a task's YAML file and the data it names.
pub(super) fn read(path: &Path) -> Result<Task, TaskError> {
    let wrong = |problem| TaskError {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(TaskProblem::Read(error)))?;
    task(path, &text).map_err(wrong)
}

fn task(path: &Path, text: &str) -> Result<Task, TaskProblem> {
    let code = text.lines().find(|line| {
        let said = line.split(" #").next().unwrap_or(line);
        !said.trim_start().starts_with('#') && said.contains("!function")
    });
    if let Some(line) = code {
        let field = line.split(':').next().unwrap_or(line).trim();
        return Err(unsupported(field, "`!function` (Python code)", "templates"));
    }
    let file = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let fields = shipworthy_schema::yaml::read(text, &file).map_err(TaskProblem::Yaml)?;
    let fields = Fields::new(fields)?;
    fields.only("num_fewshot", &json!(0), "0")?;
    fields.only("repeats", &json!(1), "1")?;
    fields.only("unsafe_code", &json!(false), "false")?;
    let builder = Builder::new(&fields)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut items = Items::default();
    for file in fields.data_files(directory)? {
        let rows = RowFile::open(&file).map_err(TaskProblem::Data)?;
        let name = rows.name().to_owned();
        for row in rows {
            let (place, row) = row.map_err(TaskProblem::Data)?;
            let id = format!("{name}:{}", place.number());
            let row = row.map_err(|problem| TaskProblem::Row {
                place: id.clone(),
                detail: problem.to_string(),
            })?;
            builder.add(id, &row, &mut items)?;
        }
    }
    let questions = match builder.rules.clone() {
        None => Questions::Choice(items.choices),
        Some(rules) => Questions::Generation(items.generations, rules),
    };
    if questions.len() == 0 {
        return Err(TaskProblem::Empty);
    }
    Ok(Task {
        name: fields
            .text("task")?
            .map_or_else(|| stem(path), str::to_owned),
        metrics: builder.metrics,
        questions,
    })
}

#[derive(Default)]
struct Items {
    choices: Vec<ChoiceItem>,
    generations: Vec<GenerationItem>,
}

/// What a field of a document is made by.
enum Source {
    /// A template, or the name of a field where the documents have one of that name.
    Text(String, Box<Template>),
    /// A value for all.
    Fixed(Value),
}

impl Source {
    fn new(field: &'static str, value: &Value) -> Result<Self, TaskProblem> {
        let Value::String(text) = value else {
            return Ok(Self::Fixed(value.clone()));
        };
        let template = Template::new(text).map_err(|detail| TaskProblem::Template {
            place: String::new(),
            field,
            detail,
        })?;
        Ok(Self::Text(text.clone(), Box::new(template)))
    }
}

/// Makes questions of documents.
struct Builder {
    text: Source,
    choice: Option<Source>,
    target: Source,
    description: Option<Template>,
    delimiter: String,
    /// `None` where answers are chosen.
    rules: Option<GenerationRules>,
    metrics: Vec<Metric>,
}

impl Builder {
    fn new(fields: &Fields) -> Result<Self, TaskProblem> {
        let source = |field: &'static str| match fields.get(field) {
            Some(value) => Source::new(field, value),
            None => Err(wrong(
                field,
                "a template or the name of a field",
                &Value::Null,
            )),
        };
        let output_type = fields.text("output_type")?.unwrap_or("generate_until");
        let (metrics, ignored) = metrics(fields, output_type)?;
        let rules = match output_type {
            "multiple_choice" => None,
            "generate_until" => Some(rules(fields, ignored)?),
            other => {
                let what = format!("`{other}`");
                let supported = "`multiple_choice` and `generate_until`";
                return Err(unsupported("output_type", &what, supported));
            }
        };
        let choice = match (&rules, fields.get("doc_to_choice")) {
            (None, _) => Some(source("doc_to_choice")?),
            (Some(_), None) => None,
            (Some(_), Some(_)) => {
                let supported = "answers as texts, with `generate_until`";
                return Err(unsupported("doc_to_choice", "it", supported));
            }
        };
        let description = fields.text("description")?.map(Template::new).transpose();
        Ok(Self {
            text: source("doc_to_text")?,
            choice,
            target: source("doc_to_target")?,
            description: description.map_err(|detail| TaskProblem::Template {
                place: String::new(),
                field: "description",
                detail,
            })?,
            delimiter: fields.text("target_delimiter")?.unwrap_or(" ").to_owned(),
            rules,
            metrics,
        })
    }

    fn add(
        &self,
        id: String,
        row: &Map<String, Value>,
        items: &mut Items,
    ) -> Result<(), TaskProblem> {
        let failed = |field: &'static str| {
            let place = format!("{id}: ");
            move |detail: String| TaskProblem::Template {
                place,
                field,
                detail,
            }
        };
        let wrong = |detail: String| TaskProblem::Row {
            place: id.clone(),
            detail,
        };
        let question = match value(&self.text, row).map_err(failed("doc_to_text"))? {
            Value::String(text) => text,
            other => {
                let what = kind(&other);
                return Err(wrong(format!(
                    "field `doc_to_text`: expected a text, got {what}"
                )));
            }
        };
        let description = self.description.as_ref().map(|template| template.text(row));
        let description = description.transpose().map_err(failed("description"))?;
        let context = description.unwrap_or_default() + &question;
        let target = value(&self.target, row).map_err(failed("doc_to_target"))?;
        let Some(choice) = &self.choice else {
            let golds = golds(&target).map_err(wrong)?;
            items.generations.push(GenerationItem {
                id,
                prompt: context,
                golds,
            });
            return Ok(());
        };
        if question.bytes().all(|byte| byte.is_ascii_digit()) && !question.is_empty() {
            // There it means that questions differ and answers do not.
            let detail =
                "field `doc_to_text` is a number: choices within the question are not supported";
            return Err(wrong(detail.to_owned()));
        }
        let choices = choices(choice, row).map_err(failed("doc_to_choice"))?;
        check_choices(&choices).map_err(wrong)?;
        // A number that a template writes is a place; one that a field has as a text is an answer.
        let target = match (&self.target, &target) {
            (Source::Text(name, _), Value::String(text))
                if !row.contains_key(name) && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                text.parse::<u64>().map_or(target, Value::from)
            }
            _ => target,
        };
        items.choices.push(ChoiceItem {
            gold: gold(&target, &choices).map_err(wrong)?,
            id,
            context,
            delimiter: self.delimiter.clone(),
            choices,
        });
        Ok(())
    }
}

fn value(source: &Source, row: &Map<String, Value>) -> Result<Value, String> {
    match source {
        Source::Fixed(value) => Ok(value.clone()),
        Source::Text(name, template) => match row.get(name) {
            Some(value) => Ok(value.clone()),
            None => template.text(row).map(Value::from),
        },
    }
}

fn choices(source: &Source, row: &Map<String, Value>) -> Result<Vec<String>, String> {
    let list = match source {
        Source::Fixed(Value::Object(named)) => named.values().cloned().collect(),
        Source::Fixed(value) => value.clone(),
        Source::Text(name, template) => match row.get(name) {
            Some(value) => value.clone(),
            None => Value::Array(template.list(row)?),
        },
    };
    texts(&list).ok_or_else(|| format!("expected a list of texts, got {}", kind(&list)))
}

/// Returns the answers, each of which is right.
fn golds(target: &Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    };
    let listed = match target {
        Value::Array(list) => Some(list.clone()),
        Value::String(text) if text.starts_with('[') => python_literal::list(text),
        _ => None,
    };
    let found = match listed {
        Some(list) => list.iter().map(text).collect(),
        None => text(target).map(|text| vec![text]),
    };
    let found = found.filter(|golds: &Vec<String>| !golds.is_empty());
    found.ok_or_else(|| format!("the answer is {}, expected a text", kind(target)))
}

fn metrics(fields: &Fields, output_type: &str) -> Result<(Vec<Metric>, Ignored), TaskProblem> {
    const FIELD: &str = "metric_list";
    let is_choice = output_type == "multiple_choice";
    let mut ignored = Ignored::default();
    let Some(list) = fields.get(FIELD) else {
        let usual = [Metric::Acc, Metric::AccNorm];
        let metrics = if is_choice {
            usual.to_vec()
        } else {
            vec![Metric::ExactMatch]
        };
        return Ok((metrics, ignored));
    };
    let entries = list.as_array().filter(|entries| !entries.is_empty());
    let entries = entries.ok_or_else(|| wrong(FIELD, "a list of metrics", list))?;
    let mut metrics = Vec::new();
    for entry in entries {
        let entry = entry
            .as_object()
            .ok_or_else(|| wrong(FIELD, "a metric's fields", entry))?;
        for (name, value) in entry {
            let flag = match name.as_str() {
                "metric" => {
                    let known = [
                        Metric::Acc,
                        Metric::AccNorm,
                        Metric::AccBytes,
                        Metric::ExactMatch,
                    ];
                    let found = known.into_iter().find(|metric| value == metric.name());
                    let found = found.filter(|found| is_choice != (*found == Metric::ExactMatch));
                    let supported =
                        "acc, acc_norm and acc_bytes of choices, exact_match of what is generated";
                    let metric =
                        found.ok_or_else(|| unsupported("metric", &kind(value), supported))?;
                    metrics.push(metric);
                    continue;
                }
                "aggregation" if value == "mean" => continue,
                "higher_is_better" if *value == json!(true) => continue,
                "ignore_case" => &mut ignored.case,
                "ignore_punctuation" => &mut ignored.punctuation,
                "ignore_numbers" => &mut ignored.numbers,
                _ => {
                    let supported = "the mean of metrics where more is better";
                    return Err(unsupported(
                        &format!("{FIELD}.{name}"),
                        &kind(value),
                        supported,
                    ));
                }
            };
            *flag = value
                .as_bool()
                .ok_or_else(|| wrong(name, "true or false", value))?;
        }
    }
    Ok((metrics, ignored))
}

fn rules(fields: &Fields, ignored: Ignored) -> Result<GenerationRules, TaskProblem> {
    const FIELD: &str = "generation_kwargs";
    let delimiter = fields
        .text("fewshot_delimiter")?
        .unwrap_or("\n\n")
        .to_owned();
    let mut rules = GenerationRules {
        until: vec![delimiter],
        max_tokens: MAX_TOKENS,
        ignored,
    };
    let kwargs = fields.get(FIELD).and_then(Value::as_object);
    for (name, value) in kwargs.into_iter().flatten() {
        match (name.as_str(), value) {
            ("until", Value::String(text)) => rules.until = vec![text.clone()],
            ("until", list) => {
                rules.until = texts(list).ok_or_else(|| wrong("until", "a list of texts", list))?;
            }
            ("max_gen_toks" | "max_new_tokens" | "max_tokens", value) => {
                let tokens = value
                    .as_u64()
                    .filter(|tokens| (1..=65_536).contains(tokens));
                let tokens = tokens.ok_or_else(|| wrong(name, "1 to 65536", value))?;
                rules.max_tokens = usize::try_from(tokens).unwrap_or(MAX_TOKENS);
            }
            ("do_sample", Value::Bool(false)) => {}
            ("temperature", value) if value.as_f64() == Some(0.0) => {}
            _ => {
                let field = format!("{FIELD}.{name}");
                return Err(unsupported(
                    &field,
                    &kind(value),
                    "the likeliest token each time",
                ));
            }
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const CHOICE: &str = "\
task: animals
dataset_path: json
dataset_kwargs: {data_files: {test: animals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: \"Q: {{question}}\\nA:\"
doc_to_choice: \"{{choices.text}}\"
doc_to_target: \"{{choices.label.index(answerKey)}}\"
metadata: {version: 1.0}
";
    const ROW: &str = r#"{"question": "What does a cow say?", "choices": {"text": ["moo", "miaow"],
        "label": ["A", "B"]}, "answerKey": "A", "answer": "moo", "n": 12}"#;

    fn read_text(yaml: &str) -> Result<Task, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("task.yaml");
        std::fs::write(&path, yaml).unwrap();
        std::fs::write(
            directory.path().join("animals.jsonl"),
            ROW.replace('\n', " "),
        )
        .unwrap();
        read(&path).map_err(|error| error.problem.to_string())
    }

    #[test]
    fn choices_are_put_together() {
        let task = read_text(&format!("{CHOICE}description: \"Animals.\\n\\n\"\n")).unwrap();
        assert_eq!(task.name, "animals");
        assert_eq!(task.metrics, [Metric::Acc, Metric::AccNorm]);
        let Questions::Choice(items) = task.questions else {
            panic!()
        };
        assert_eq!(items[0].context, "Animals.\n\nQ: What does a cow say?\nA:");
        assert_eq!(items[0].choices, ["moo", "miaow"]);
        assert_eq!((items[0].gold, items[0].delimiter.as_str()), (0, " "));
    }

    #[test]
    fn generation_is_put_together() {
        let yaml = CHOICE
            .replace("multiple_choice", "generate_until")
            .replace("doc_to_choice: \"{{choices.text}}\"\n", "")
            .replace("\"{{choices.label.index(answerKey)}}\"", "answer")
            + "generation_kwargs: {until: [\"\\n\", \".\"], do_sample: false, max_gen_toks: 8}\n\
               metric_list: [{metric: exact_match, ignore_case: true, aggregation: mean}]\n";
        let Questions::Generation(items, rules) = read_text(&yaml).unwrap().questions else {
            panic!()
        };
        assert_eq!(items[0].golds, ["moo"]);
        assert_eq!(rules.until, ["\n", "."]);
        assert_eq!((rules.max_tokens, rules.ignored.case), (8, true));
        let number = yaml.replace("doc_to_target: answer", "doc_to_target: \"{{n}}\"");
        let Questions::Generation(items, _) = read_text(&number).unwrap().questions else {
            panic!()
        };
        assert_eq!(items[0].golds, ["12"]);
    }

    #[test_case("task: animals", "process_docs: !function utils.f", "field `process_docs`: `!function` (Python code) is not supported"; "code")]
    #[test_case("task: animals", "filter_list: [{name: strict}]", "field `filter_list`: it is not supported"; "filters")]
    #[test_case("task: animals", "include: other.yaml", "field `include`: it is not supported"; "include")]
    #[test_case("task: animals", "num_fewshot: 5", "field `num_fewshot`: the number 5 is not supported; supported is 0"; "examples")]
    #[test_case("task: animals", "metric_list: [{metric: f1}]", "field `metric`: the text `f1` is not supported"; "metric")]
    #[test_case("dataset_path: json", "dataset_path: allenai/ai2_arc", "field `dataset_path`: `allenai/ai2_arc` is not supported"; "a dataset of the Hub")]
    #[test_case("{test: animals.jsonl}", "{train: animals.jsonl}", "field `dataset_kwargs.data_files`: expected a file or files"; "no split")]
    #[test_case("{test: animals.jsonl}", "{test: \"https://x/y.jsonl\"}", "`https://x/y.jsonl` is not supported"; "an address")]
    #[test_case("{test: animals.jsonl}", "{test: nowhere.jsonl}", "failed to read `nowhere.jsonl`"; "no data")]
    #[test_case("multiple_choice", "loglikelihood_rolling", "field `output_type`: `loglikelihood_rolling` is not supported"; "output type")]
    #[test_case("{{question}}", "{{questions}}", "animals.jsonl:1: field `doc_to_text`: undefined value"; "a field that is not there")]
    #[test_case("{{question}}", "{{question", "field `doc_to_text`: "; "syntax")]
    #[test_case("\"{{choices.label.index(answerKey)}}\"", "answerKey", "animals.jsonl:1: the answer is the text `A`"; "an answer that is none")]
    #[test_case("\"{{choices.text}}\"", "[moo]", "it has 1 choices"; "one choice")]
    fn what_is_not_supported_is_refused_by_name(from: &str, to: &str, expected: &str) {
        let yaml = CHOICE.replace(from, to);
        assert_ne!(yaml, CHOICE);
        let error = read_text(&yaml).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
