//! A metric over runs, for a terminal and for programs.

use serde_json::{Value, json};
use shipworthy_schema::{ModelTrend, Trend, TrendMetric, TrendPoint, TrendSeries};

use crate::inert_text::one_line;
use crate::number_text::{count, difference, interval, percent, score};
use crate::terminal::columns::Column;
use crate::terminal::layout::{Paint, paragraph, table};

/// Most values that a line of bars has, the latest.
const BARS: usize = 40;

/// Returns a metric over runs for programs: `metric`, `series` and `left_out`.
pub fn trend_json(trend: &Trend) -> Value {
    json!(trend)
}

/// Returns a metric over runs for a terminal of `width` columns: for each series of comparable runs
/// every value, the latest first, and a line of bars per model, the latest last.
///
/// `color` adds ANSI colours; no meaning rests on them. Names are shown without control characters.
pub fn trend_terminal(trend: &Trend, width: usize, color: bool) -> String {
    let (width, paint) = (width.clamp(60, 100), Paint { color });
    let head = match &trend.metric {
        TrendMetric::Score => "Mean score".to_owned(),
        TrendMetric::PassRate => "Pass rate".to_owned(),
        TrendMetric::Gain => "Gain over the baseline of the same run".to_owned(),
        TrendMetric::Criterion(id) => format!("Mean score on criterion {}", one_line(id)),
    };
    let mut blocks = vec![paint.bold(&format!("{head}\n"))];
    for series in &trend.series {
        blocks.push(values(series, &trend.metric, width) + &bars(series, &trend.metric, width));
    }
    let mut notes = Vec::new();
    if trend.series.is_empty() {
        notes.push("No run has a value.".to_owned());
    }
    if trend.series.len() > 1 {
        notes.push(
            "Only runs within one table are comparable: between tables people, prompts, sampling, \
             rubric or judges differ; `shipworthy runs diff RUN OTHER` says how."
                .to_owned(),
        );
    }
    if !trend.left_out.is_empty() {
        let n = u32::try_from(trend.left_out.len()).unwrap_or(u32::MAX);
        notes.push(format!("Left out: {} without a verdict.", count(n, "run")));
    }
    blocks.extend(notes.iter().map(|note| paragraph(note, width)));
    blocks.join("\n")
}

/// Returns the table of a series: the latest run first.
fn values(series: &TrendSeries, metric: &TrendMetric, width: usize) -> String {
    let mut rows: Vec<(&TrendPoint, Vec<String>)> = Vec::new();
    for model in &series.models {
        let mut before = None;
        for point in &model.points {
            let change = before.zip(point.value).map(|(before, now)| now - before);
            rows.push((
                point,
                vec![
                    point.run.clone(),
                    // To the minute.
                    point
                        .created_at
                        .chars()
                        .take(16)
                        .collect::<String>()
                        .replace('T', " "),
                    model.model.to_string(),
                    number(metric, point.value),
                    change.map(|change| gap(metric, change)).unwrap_or_default(),
                    point.ci95.map(interval).unwrap_or_default(),
                ],
            ));
            before = point.value.or(before);
        }
    }
    // Stable: models of one run stay in their order.
    let place = |run: &str| series.runs.iter().position(|own| own == run);
    rows.sort_by_key(|(point, _)| std::cmp::Reverse(place(&point.run)));
    let mut columns = vec![
        Column::text("run"),
        Column::text("begun (UTC)"),
        Column::text("model"),
        Column::number("value"),
        Column::number("change"),
    ];
    let mut cells: Vec<Vec<String>> = rows.into_iter().map(|(_, cells)| cells).collect();
    if *metric == TrendMetric::Gain {
        columns.push(Column::number("95 % interval"));
    } else {
        for row in &mut cells {
            row.truncate(5);
        }
    }
    table(&columns, cells, width)
}

/// Returns a line per model with more than one value: bars, and from where to where they go.
fn bars(series: &TrendSeries, metric: &TrendMetric, width: usize) -> String {
    let line = |model: &ModelTrend| {
        let values: Vec<f64> = model.points.iter().filter_map(|p| p.value).collect();
        let shown = &values[values.len().saturating_sub(BARS)..];
        let (first, last) = (*shown.first()?, *shown.last()?);
        (shown.len() > 1).then(|| {
            format!(
                "{} {}: {} to {} over {}",
                sparkline(shown),
                one_line(model.model.as_str()),
                number(metric, Some(first)),
                number(metric, Some(last)),
                count(u32::try_from(shown.len()).unwrap_or(u32::MAX), "run")
            )
        })
    };
    let lines = series.models.iter().filter_map(line);
    lines.map(|line| paragraph(&line, width)).collect()
}

/// Returns a bar per value, from the least to the largest of them; equal values are of middle height.
fn sparkline(values: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let span = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
    let bar = |value: &f64| {
        // Rounding in a mean is no change.
        if span < 1e-9 {
            return HEIGHTS[3];
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 7, and the cast saturates"
        )]
        let height = ((value - least) / span * 7.0).round() as usize;
        HEIGHTS[height.min(7)]
    };
    values.iter().map(bar).collect()
}

fn number(metric: &TrendMetric, value: Option<f64>) -> String {
    let Some(value) = value else {
        return "no score".to_owned();
    };
    match metric {
        TrendMetric::Score | TrendMetric::Criterion(_) => score(value),
        TrendMetric::PassRate => percent(value),
        TrendMetric::Gain => difference(value),
    }
}

/// Returns a change with its sign; of a share in percentage points.
fn gap(metric: &TrendMetric, change: f64) -> String {
    match metric {
        TrendMetric::PassRate => format!("{:+.0} pp", change * 100.0).replace("-0 pp", "+0 pp"),
        _ => difference(change),
    }
}

#[cfg(test)]
mod tests {
    use super::{gap, sparkline};
    use shipworthy_schema::TrendMetric;

    #[test]
    fn bars_go_from_the_least_to_the_largest() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0]), "▁▅█");
        assert_eq!(sparkline(&[-0.1, -0.2]), "█▁");
        assert_eq!(sparkline(&[0.3, 0.1 + 0.2]), "▄▄");
    }

    #[test]
    fn a_change_has_its_sign() {
        assert_eq!(gap(&TrendMetric::PassRate, -0.001), "+0 pp");
        assert_eq!(gap(&TrendMetric::PassRate, -0.5), "-50 pp");
        assert_eq!(gap(&TrendMetric::Gain, 0.02), "+0.020");
    }
}
