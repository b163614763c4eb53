//! What calls took, in the words that terminal and Markdown share. What was not told is unknown,
//! never 0.

use shipworthy_schema::{CallRole, CallSums, Cost, CostPart, Tally};

use crate::number_text::grouped;

/// Which columns of the table of costs are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All that say something.
    All,
    /// Calls, tokens read and written, and money: what fits a terminal.
    Main,
}

/// One row of the table of costs.
pub(crate) struct CostRow {
    /// Whose calls.
    pub(crate) who: String,
    /// Calls and tokens, in the order of [`heads`].
    pub(crate) numbers: Vec<String>,
}

/// Returns the heads over the numbers of [`rows`].
pub(crate) fn heads(cost: &Cost, columns: Columns) -> Vec<String> {
    let mut heads = vec!["Calls", "Read"];
    if shows_cached(cost, columns) {
        heads.push("Cached");
    }
    heads.push("Written");
    if shows_reasoning(cost, columns) {
        heads.push("Reasoning");
    }
    let currency = cost.currency.map(|currency| currency.to_string());
    let heads = heads.into_iter().map(str::to_owned);
    heads.chain(currency).collect()
}

/// Returns one row for each model in each role, then the sums of the conversations, of the judges and of
/// both where they add something up.
pub(crate) fn rows(cost: &Cost, columns: Columns) -> Vec<CostRow> {
    let row = |who: String, sums: &CallSums| CostRow {
        who,
        numbers: numbers(cost, sums, columns),
    };
    let mut rows: Vec<CostRow> = cost.parts.iter().map(|p| row(who(p), &p.sums)).collect();
    let n_judges = cost.parts.iter().filter(|p| p.role == CallRole::Judge);
    let n_judges = n_judges.count();
    if cost.parts.len() - n_judges > 1 {
        rows.push(row("all conversations".to_owned(), &cost.conversations));
    }
    if n_judges > 1 {
        rows.push(row("all judging".to_owned(), &cost.judging));
    }
    if n_judges > 0 && cost.parts.len() > n_judges {
        let all = cost.conversations.plus(&cost.judging);
        rows.push(row("all".to_owned(), &all));
    }
    rows
}

fn shows_cached(cost: &Cost, columns: Columns) -> bool {
    columns == Columns::All && cost.parts.iter().any(|p| p.sums.cached_tokens.is_some())
}

fn shows_reasoning(cost: &Cost, columns: Columns) -> bool {
    let mut parts = cost.parts.iter();
    columns == Columns::All && parts.any(|p| p.sums.reasoning_tokens.sum.is_some_and(|n| n > 0))
}

fn who(part: &CostPart) -> String {
    let role = match part.role {
        CallRole::Model => "model",
        // There is one simulator, named so.
        CallRole::Simulator => return "simulator".to_owned(),
        CallRole::Judge => "judge",
    };
    match &part.model {
        Some(model) => format!("{role} {model}"),
        None => format!("{role}s"),
    }
}

fn numbers(cost: &Cost, sums: &CallSums, columns: Columns) -> Vec<String> {
    let mut numbers = vec![grouped(sums.calls), tally(sums.prompt_tokens)];
    if shows_cached(cost, columns) {
        numbers.push(sums.cached_tokens.map_or_else(String::new, tally));
    }
    numbers.push(tally(sums.completion_tokens));
    if shows_reasoning(cost, columns) {
        numbers.push(tally(sums.reasoning_tokens));
    }
    if cost.currency.is_some() {
        numbers.push(money(sums));
    }
    numbers
}

/// Returns a sum, e.g. `41,000`, `≥ 41,000` where some calls did not tell, or `unknown`.
fn tally(tally: Tally) -> String {
    match (tally.sum, tally.uncounted) {
        (Some(sum), 0) => grouped(sum),
        (Some(sum), _) => format!("≥ {}", grouped(sum)),
        (None, _) => "unknown".to_owned(),
    }
}

fn money(sums: &CallSums) -> String {
    match (sums.money, sums.unpriced_calls) {
        (Some(amount), 0) => amount_text(amount),
        (Some(amount), _) => format!("≥ {}", amount_text(amount)),
        (None, _) => "unknown".to_owned(),
    }
}

/// Returns an amount of money with cents, or with more decimals where it is below one, e.g. `12.30` or
/// `0.0042`.
pub fn amount_text(amount: f64) -> String {
    if amount >= 1.0 || amount == 0.0 {
        format!("{amount:.2}")
    } else if amount < 0.00005 {
        "< 0.0001".to_owned()
    } else {
        format!("{amount:.4}")
    }
}

/// Returns whether some number is a least one only.
pub(crate) fn is_at_least(cost: &Cost) -> bool {
    let sums = cost.conversations.plus(&cost.judging);
    let tokens = [sums.prompt_tokens, sums.completion_tokens];
    let is_partial = |tally: &Tally| tally.uncounted > 0;
    tokens.iter().any(is_partial) || (cost.currency.is_some() && sums.unpriced_calls > 0)
}

#[cfg(test)]
mod tests {
    use super::amount_text;

    #[test]
    fn small_amounts_are_not_nothing() {
        let amounts = [0.0, 0.000_01, 0.0042, 0.5, 12.3].map(amount_text);
        assert_eq!(amounts, ["0.00", "< 0.0001", "0.0042", "0.5000", "12.30"]);
    }
}
