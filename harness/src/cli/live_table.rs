//! What a run did so far, a row for each model. It tells no difference, interval or p-value: whoever
//! stops a run for what is seen under way finds differences that are none.

use shipworthy_harness::progress::{RunProgress, SpeakerProgress};
use shipworthy_reports::{amount_text, one_line, table};
use shipworthy_schema::CallRole;

use super::plan::duration;

/// Most characters of a name.
const LONGEST_NAME: usize = 22;

/// Most rows: a table higher than the terminal cannot be drawn over.
const MOST_ROWS: usize = 16;

/// Returns a line on the run and a table of its models, `elapsed` seconds after this process began to
/// hold conversations; no line has more than `width` columns.
pub(super) fn live_table(progress: &RunProgress, elapsed: f64, width: usize) -> String {
    let heads = [
        "", "held", "scored", "failed", "mean", "calls", "again", "tok/s", "busy",
    ];
    let speakers = progress.speakers.iter();
    let rows: Vec<[String; 9]> = speakers
        .take(MOST_ROWS)
        .map(|speaker| row(speaker, progress.planned, elapsed))
        .collect();
    let mut lines = vec![headline(progress, elapsed)];
    lines.extend(table(heads, &rows, width).lines().map(str::to_owned));
    let more = progress.speakers.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    for server in &progress.away {
        lines.push(format!("waiting for {}", one_line(server)));
    }
    let lines = lines.iter().map(|line| cut(line, width));
    lines.collect::<Vec<_>>().join("\n")
}

fn headline(progress: &RunProgress, elapsed: f64) -> String {
    let arms = progress.models().count();
    let arms = u32::try_from(arms).unwrap_or(u32::MAX);
    let scored: u32 = progress.models().map(|model| model.scored).sum();
    let planned = progress.planned.saturating_mul(arms);
    let mut parts = vec![format!("{scored}/{planned} conversations")];
    if let (pairs @ 1.., judged) = progress.pairs {
        parts.push(format!("{judged}/{pairs} pairs"));
    }
    parts.push(duration(elapsed));
    parts.push(match progress.seconds_left(elapsed) {
        Some(seconds) => format!("{} left", duration(seconds)),
        None => "time left unknown".to_owned(),
    });
    if let Some(money) = progress.money {
        let currency = progress.prices.currency;
        parts.push(format!("{currency} {}", amount_text(money)));
    }
    parts.join(" · ")
}

fn row(speaker: &SpeakerProgress, planned: u32, elapsed: f64) -> [String; 9] {
    let name = cut(&one_line(speaker.model.as_str()), LONGEST_NAME);
    let name = match speaker.role {
        CallRole::Model => name,
        CallRole::Simulator => format!("people: {name}"),
        CallRole::Judge => format!("judge: {name}"),
    };
    let is_model = speaker.role == CallRole::Model;
    let of_model = |text: String| if is_model { text } else { String::new() };
    let rate = if elapsed >= 1.0 && speaker.tokens > 0 {
        format!("{:.0}", speaker.tokens as f64 / elapsed)
    } else {
        String::new()
    };
    let places = speaker.places;
    [
        name,
        of_model(format!("{}/{planned}", speaker.held)),
        of_model(speaker.scored.to_string()),
        of_model(speaker.failed.to_string()),
        speaker
            .mean()
            .map_or_else(String::new, |mean| format!("{mean:.2}")),
        speaker.calls.to_string(),
        speaker.retries.to_string(),
        rate,
        places.map_or_else(String::new, |it| format!("{}/{}", it.in_use, it.limit)),
    ]
}

/// Returns the beginning of a line that is too long.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use shipworthy_harness::accounting::PriceList;
    use shipworthy_harness::progress::RunProgress;
    use shipworthy_schema::{
        CallRole, ConversationId, Event, ModelName, Outcome, PersonaId, ServerPlaces, Termination,
        Usage,
    };

    use super::live_table;

    fn progress(models: usize) -> RunProgress {
        let name = |text: String| ModelName::new(text).unwrap();
        let hostile = "\u{202e}<b>a very long name\u{200b} that says ::error:: and more";
        let models = (0..models).map(|n| (name(format!("model-{n}")), CallRole::Model));
        let judge = (name(hostile.to_owned()), CallRole::Judge);
        let mut progress =
            RunProgress::new([judge].into_iter().chain(models), PriceList::default());
        progress.take(&Event::SimulationStarted { conversations: 90 });
        let id = ConversationId {
            model: name("model-0".to_owned()),
            persona: PersonaId::new("p").unwrap(),
            repeat: 1,
        };
        for event in [
            Event::ConversationFinished {
                id: id.clone(),
                termination: Termination::TurnLimit,
                stored: false,
            },
            Event::CallFinished {
                role: CallRole::Model,
                model: id.model.clone(),
                usage: Usage {
                    completion_tokens: Some(1234),
                    ..Usage::default()
                },
                places: Some(ServerPlaces {
                    in_use: 3,
                    limit: 16,
                }),
                stored: false,
            },
            Event::ConversationScored {
                id,
                overall: Outcome::Scored { value: 0.625 },
                stored: false,
            },
            Event::ServerAway {
                server: "http://127.0.0.1:1/\u{1b}[2J".to_owned(),
                error: String::new(),
            },
        ] {
            progress.take(&event);
        }
        progress
    }

    #[test]
    fn a_row_says_what_a_model_did_and_no_line_is_too_long() {
        for width in [60, 78, 120] {
            let text = live_table(&progress(2), 10.0, width);
            assert!(
                text.lines().all(|line| line.chars().count() <= width),
                "{width}: {text}"
            );
            assert!(!text.contains(['\u{202e}', '\u{1b}', '\u{200b}']), "{text}");
        }
        let text = live_table(&progress(2), 10.0, 78);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "1/90 conversations · 10 s · 15 min left");
        let of_model = lines.iter().find(|line| line.contains("model-0")).unwrap();
        let cells: Vec<&str> = of_model.split_whitespace().collect();
        assert_eq!(
            cells,
            ["model-0", "1/45", "1", "0", "0.62", "1", "0", "123", "3/16"]
        );
        let other = lines.iter().find(|line| line.contains("model-1")).unwrap();
        let cells: Vec<&str> = other.split_whitespace().collect();
        assert_eq!(
            cells,
            ["model-1", "0/45", "0", "0", "0", "0"],
            "no mean is not 0"
        );
        assert!(
            text.contains("waiting for http://127.0.0.1:1/<U+001B>[2J"),
            "{text}"
        );
    }

    #[test]
    fn many_models_do_not_fill_the_terminal() {
        let text = live_table(&progress(40), 10.0, 78);
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.contains("… and 25 more"), "{text}");
    }
}
