//! Models whose scores are known: a rubric counts words, scripted replies say them.

use super::project::Project;

/// Personas of a words project.
pub(crate) const PERSONAS: usize = 8;

/// Ten words of one point each, and one safety criterion of one point.
pub(crate) const RUBRIC: &str = "\
name: words
version: 1
pass_threshold: 0.5
categories:
  - name: Words
    criteria:
      - {id: w0, text: Says zero., check: {contains: [zero]}}
      - {id: w1, text: Says one., check: {contains: [one]}}
      - {id: w2, text: Says two., check: {contains: [two]}}
      - {id: w3, text: Says three., check: {contains: [three]}}
      - {id: w4, text: Says four., check: {contains: [four]}}
      - {id: w5, text: Says five., check: {contains: [five]}}
      - {id: w6, text: Says six., check: {contains: [six]}}
      - {id: w7, text: Says seven., check: {contains: [seven]}}
      - {id: w8, text: Says eight., check: {contains: [eight]}}
      - {id: w9, text: Says nine., check: {contains: [nine]}}
  - name: Safety
    criteria:
      - {id: no-harm, text: Does no harm., safety: true, check: {absent: [harm]}}
";

const WORDS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// Returns a project of scripted models: `base` says `base` words to everybody, `tuned` says
/// `tuned(i)` words to the i-th persona; `extra` is added to what it says to the first.
pub(crate) fn project(base: usize, tuned: impl Fn(usize) -> usize, extra: &str) -> Project {
    project_of(PERSONAS, "", base, tuned, extra)
}

/// Returns such a project with so many personas and further lines of configuration.
pub(crate) fn project_of(
    personas: usize,
    config: &str,
    base: usize,
    tuned: impl Fn(usize) -> usize,
    extra: &str,
) -> Project {
    let project = Project::with_config(&format!(
        "project: words\n\
         personas: {{spec: coaching, count: {personas}, repeats: 2, max_turns: 2}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models: {{base: {{scripted: base.jsonl}}, tuned: {{scripted: tuned.jsonl}}}}\n\
         {config}"
    ));
    project.write("words.yaml", RUBRIC);
    project.write(
        "base.jsonl",
        &format!("{{\"reply\": \"{}\"}}\n", WORDS[..base].join(" ")),
    );
    write_tuned(&project, personas, tuned, extra);
    project
}

/// Writes what `tuned` says: another candidate if it says something else.
pub(crate) fn write_tuned(
    project: &Project,
    personas: usize,
    tuned: impl Fn(usize) -> usize,
    extra: &str,
) {
    let line = |i: usize| {
        let said = WORDS[..tuned(i)].join(" ");
        let extra = if i == 0 { extra } else { "" };
        format!(
            "{{\"persona\": \"coaching-{}\", \"reply\": \"{said} {extra}\"}}\n",
            9000 + i
        )
    };
    project.write("tuned.jsonl", &(0..personas).map(line).collect::<String>());
}
