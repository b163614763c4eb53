#![expect(
    clippy::format_push_string,
    reason = "a text is shown once; its shape matters more"
)]

use serde_json::{Value, json};
use shipworthy_harness::effort::Effort;
use shipworthy_harness::sample_size::{Ability, Aim, Needed, REPEATS, SampleSize};
use shipworthy_reports::{bullets, table};
use shipworthy_schema::CallRole;

/// What is said about the size of an evaluation.
pub(super) struct Shown<'a> {
    pub(super) aim: &'a Aim,
    pub(super) source: &'a str,
    pub(super) size: &'a SampleSize,
    pub(super) models: u32,
    pub(super) parallel: u32,
    pub(super) effort: &'a Effort,
    pub(super) effort_source: &'a str,
    pub(super) shipped: Option<Shipped>,
}

/// How often the whole rule ships the gain aimed at.
pub(super) struct Shipped {
    pub(super) share: f64,
    pub(super) error: f64,
    pub(super) replicates: u32,
    pub(super) seed: u64,
}

impl Shown<'_> {
    /// Returns the JSON document.
    pub(super) fn value(&self) -> Value {
        let (aim, size, effort) = (self.aim, self.size, self.effort);
        let needed = |needed: &Needed| {
            json!({
                "repeats": needed.repeats,
                "sd": needed.sd,
                "personas": needed.personas,
                "personas_for_test": needed.for_test,
                "personas_for_min_gain": needed.for_gain,
            })
        };
        let ability = |ability: &Ability| {
            let power = REPEATS.iter().zip(&ability.power);
            json!({
                "personas": ability.personas,
                "minimal_detectable_effect": ability.minimal_detectable_effect,
                "power": power
                    .map(|(repeats, power)| json!({ "repeats": repeats, "power": power }))
                    .collect::<Vec<_>>(),
            })
        };
        let split = &size.best_split;
        let calls = |role: CallRole| {
            let of_role = effort.calls.iter().find(|(of, _)| *of == role);
            of_role.map_or(0.0, |(_, calls)| *calls)
        };
        json!({
            "format": 1,
            "spread": {
                "source": self.source,
                "variance_between_personas": aim.spread.between,
                "variance_within_personas": aim.spread.within,
            },
            "gain": aim.gain,
            "power": aim.power,
            "gate": aim.gate,
            "needed": needed(&size.needed),
            "needed_by_repeats": size.by_repeats.iter().map(needed).collect::<Vec<_>>(),
            "by_personas": size.abilities.iter().map(ability).collect::<Vec<_>>(),
            "best_split": {
                "budget": size.budget,
                "persona_cost": aim.persona_cost,
                "personas": split.personas,
                "repeats": split.repeats,
                "minimal_detectable_effect": split.minimal_detectable_effect,
            },
            "effort": {
                "source": self.effort_source,
                "models": self.models,
                "conversations": effort.conversations,
                "model_calls": calls(CallRole::Model),
                "simulator_calls": calls(CallRole::Simulator),
                "judge_calls": calls(CallRole::Judge),
                "prompt_tokens": effort.prompt_tokens,
                "completion_tokens": effort.completion_tokens,
                "parallel": self.parallel,
                "seconds": effort.seconds,
            },
            "ship_probability": self.shipped.as_ref().map(|shipped| json!({
                "share": shipped.share,
                "monte_carlo_error": shipped.error,
                "replicates": shipped.replicates,
                "seed": shipped.seed,
            })),
            "advice": self.advice(),
        })
    }

    /// Returns the text for people.
    pub(super) fn text(&self, width: usize) -> String {
        let (aim, size) = (self.aim, self.size);
        let mut text = format!(
            "{} personas × {} conversations with each model\n\nspread  {}\naim     a true gain of \
             {} with a chance of {}, at least {}, alpha {}\n",
            size.needed.personas,
            aim.repeats,
            self.source,
            aim.gain,
            percent(aim.power),
            aim.gate.min_gain,
            aim.gate.alpha,
        );
        if let Some(shipped) = &self.shipped {
            text += &format!(
                "rule    ships it in {} ± {} of {} simulated evaluations of that size (seed {})\n",
                percent(shipped.share),
                percent_1(2.0 * shipped.error),
                shipped.replicates,
                shipped.seed,
            );
        }
        text += &format!(
            "\nPersonas needed, by repeats\n{}",
            self.needed_table(width)
        );
        text += &format!(
            "\nPower of the t-test against a gain of {}, and the smallest gain it finds with a chance \
             of {}\n{}",
            aim.gain,
            percent(aim.power),
            self.ability_table(width)
        );
        let split = &size.best_split;
        text += &format!(
            "\nBest split of {} conversations with each model{}: {} personas × {}, which finds {:.3}\n",
            size.budget,
            match aim.persona_cost {
                0.0 => String::new(),
                cost => format!(", a persona costing {cost} of them"),
            },
            split.personas,
            split.repeats,
            split.minimal_detectable_effect,
        );
        text += &format!(
            "\nCost of {} ({})\n{}",
            self.design(),
            self.effort_source,
            self.effort()
        );
        text += "\nNote\n";
        text += &bullets(&self.advice(), width);
        text
    }

    fn design(&self) -> String {
        format!(
            "{} models × {} personas × {} conversations",
            self.models, self.size.needed.personas, self.aim.repeats
        )
    }

    fn needed_table(&self, width: usize) -> String {
        let row = |needed: &Needed| {
            // Only the row asked for was checked by simulating the whole rule.
            let least = if needed.repeats == self.aim.repeats {
                ""
            } else {
                "≥ "
            };
            [
                needed.repeats.to_string(),
                format!("{:.3}", needed.sd),
                needed.for_test.to_string(),
                needed
                    .for_gain
                    .map_or("no number".to_owned(), |n| n.to_string()),
                format!("{least}{}", needed.personas),
                format!("{least}{}", needed.personas * needed.repeats),
            ]
        };
        let rows: Vec<_> = self.size.by_repeats.iter().map(row).collect();
        let least = format!("for {} to show", self.aim.gate.min_gain);
        let heads = ["Repeats", "SD", "For p", &least, "Needed", "Conversations"];
        table(heads, &rows, width)
    }

    fn ability_table(&self, width: usize) -> String {
        let row = |ability: &Ability| {
            let power = |idx: usize| {
                ability
                    .power
                    .get(idx)
                    .map_or(String::new(), |p| percent(*p))
            };
            [
                ability.personas.to_string(),
                power(0),
                power(1),
                power(2),
                power(3),
                format!("{:.3}", ability.minimal_detectable_effect),
            ]
        };
        let rows: Vec<_> = self.size.abilities.iter().map(row).collect();
        let [a, b, c, d] = REPEATS.map(|repeats| format!("× {repeats}"));
        let found = format!("Found (× {})", self.aim.repeats);
        table(["Personas", &a, &b, &c, &d, &found], &rows, width)
    }

    fn effort(&self) -> String {
        let effort = self.effort;
        let by_role: Vec<String> = effort
            .calls
            .iter()
            .map(|(role, calls)| {
                let noun = match role {
                    CallRole::Model => "of the models",
                    CallRole::Simulator => "of the simulator",
                    CallRole::Judge => "of the judge",
                };
                format!("{} {noun}", whole(*calls))
            })
            .collect();
        let tokens = |tokens: Option<f64>| tokens.map_or("unknown".to_owned(), whole);
        format!(
            "  conversations  {}\n  calls          {}: {}\n  tokens         {} written, {} read\n  \
             time           {} with {} calls at a time\n",
            effort.conversations,
            whole(effort.all_calls()),
            by_role.join(", "),
            tokens(effort.completion_tokens),
            tokens(effort.prompt_tokens),
            duration(effort.seconds),
            self.parallel,
        )
    }

    fn advice(&self) -> Vec<String> {
        let (aim, needed) = (self.aim, &self.size.needed);
        let min_gain = aim.gate.min_gain;
        let mut advice = Vec::new();
        if needed.for_gain.is_none() {
            advice.push(format!(
                "A true gain of {} leaves no room above the least gain of {min_gain}: no number of \
                 personas ships it with a chance of {}. Plan for a larger gain.",
                aim.gain,
                percent(aim.power),
            ));
        }
        if aim.gain > aim.gate.suspicious_gain {
            advice.push(format!(
                "A gain above {} is held until the evaluation itself is checked, so it does not ship \
                 at once.",
                aim.gate.suspicious_gain
            ));
        }
        advice.push(format!(
            "A candidate whose true gain is exactly {min_gain} passes at most half the time, however \
             many personas there are: the estimate itself must reach {min_gain}."
        ));
        if aim.persona_cost == 0.0 {
            advice.push(
                "Where personas cost nothing, more of them with fewer repeats always show more; \
                 repeats are for where personas are few, and to see how much one varies."
                    .to_owned(),
            );
        }
        advice.push(
            "The t-test's power is exact for normal differences. A spread from few personas is \
             itself uncertain: plan some personas more."
                .to_owned(),
        );
        advice
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn percent_1(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Returns a whole number with its thousands apart.
pub(in crate::cli) fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a time, in seconds, minutes or hours.
pub(in crate::cli) fn duration(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 90.0 * 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, whole};

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [whole(0.4), whole(999.0), whole(1350.0)],
            ["0", "999", "1,350"]
        );
        assert_eq!(whole(1_234_567.0), "1,234,567");
        let times = [duration(45.0), duration(675.0), duration(7200.0)];
        assert_eq!(times, ["45 s", "11 min", "2.0 h"]);
    }
}
