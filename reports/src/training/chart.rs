//! A line chart as SVG, legible on light and on dark ground.

use crate::ticks::Axis;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 50.0;

/// Most points of a line; more cannot be told apart at this width.
const MOST_POINTS: usize = 800;

/// Text and grid: a grey in the middle, with contrast to white and to black.
const INK: &str = "#74808c";

/// How a series is drawn. Colours can be told apart by the colour-blind, and forms without colour.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// A line.
    Line,
    /// The same line, faint, behind its own mean.
    Faint,
    /// Circles joined by a dashed line.
    Dots,
}

impl Look {
    fn colour(self) -> &'static str {
        match self {
            Self::Line | Self::Faint => "#2f81f7",
            Self::Dots => "#d9730d",
        }
    }

    fn stroke(self) -> String {
        let colour = self.colour();
        let rest = match self {
            Self::Line => "stroke-width=\"2\"",
            Self::Faint => "stroke-width=\"1\" stroke-opacity=\"0.45\"",
            Self::Dots => "stroke-width=\"2\" stroke-dasharray=\"6 3\"",
        };
        format!("stroke=\"{colour}\" {rest}")
    }

    fn circle(self, x: f64, y: f64) -> String {
        let colour = self.colour();
        format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>\n")
    }
}

/// Values over steps.
pub(super) struct Series {
    /// Of ours, without markup.
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) points: Vec<[f64; 2]>,
}

/// What is drawn. Texts are ours, without markup.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) series: Vec<Series>,
    /// A step that is marked, with its label.
    pub(super) mark: Option<(f64, String)>,
    /// Whether the vertical axis begins at 0.
    pub(super) from_zero: bool,
    pub(super) value_text: fn(f64) -> String,
}

impl Chart {
    /// Returns the picture; `None` if there is no number to show.
    pub(super) fn svg(mut self) -> Option<String> {
        // Beyond this, differences of two values would leave the range of numbers.
        let can_be_drawn = |value: &f64| value.abs() < 1e300;
        for series in &mut self.series {
            let points = &mut series.points;
            points.retain(|point| point.iter().all(can_be_drawn));
        }
        self.series.retain(|series| !series.points.is_empty());
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::new(least(points(), 0)?, greatest(points(), 0)?, 8.0, false);
        let low = if self.from_zero {
            0.0
        } else {
            least(points(), 1)?
        };
        let y = Axis::new(low, greatest(points(), 1)?, 5.0, true);
        let frame = Frame { x, y };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" font-family=\"system-ui, \
             -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"12\" \
             fill=\"{INK}\">\n<title>{}</title>\n<text x=\"{LEFT}\" y=\"24\" font-size=\"15\" \
             font-weight=\"600\">{}</text>\n",
            self.title, self.title
        );
        svg.push_str(&frame.axes(self.value_text));
        svg.push_str(&self.legend());
        if let Some((step, label)) = &self.mark {
            svg.push_str(&frame.mark(*step, label));
        }
        for series in &self.series {
            svg.push_str(&frame.line(series));
        }
        Some(svg + "</svg>\n")
    }

    /// Returns what stands for which series, from the right.
    fn legend(&self) -> String {
        let mut right = WIDTH - RIGHT;
        let mut svg = String::new();
        for series in self.series.iter().rev() {
            // No font is known here; this is wide enough for all usual ones.
            let text = series.label.chars().count() as f64 * 6.8;
            let x = right - text;
            let (from, to) = (x - 32.0, x - 6.0);
            svg.push_str(&format!(
                "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"20\" y2=\"20\" {}/>\n",
                series.look.stroke()
            ));
            if matches!(series.look, Look::Dots) {
                svg.push_str(&series.look.circle(f64::midpoint(from, to), 20.0));
            }
            svg.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"24\">{}</text>\n",
                series.label
            ));
            right = from - 18.0;
        }
        svg
    }
}

/// The axes, and where on them a value lies.
struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn at(&self, [step, value]: [f64; 2]) -> (f64, f64) {
        let x = LEFT + self.x.share(step) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }

    fn axes(&self, value_text: fn(f64) -> String) -> String {
        let mut svg = String::new();
        let (right, base) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for &tick in &self.y.ticks {
            let (_, y) = self.at([self.x.low, tick]);
            svg.push_str(&format!(
                "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" \
                 stroke=\"{INK}\" stroke-opacity=\"0.25\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>\n",
                LEFT - 8.0,
                y + 4.0,
                value_text(tick)
            ));
        }
        // Between two steps there is nothing.
        for &tick in self.x.ticks.iter().filter(|tick| tick.fract() == 0.0) {
            let (x, _) = self.at([tick, self.y.low]);
            svg.push_str(&format!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{base}\" y2=\"{}\" \
                 stroke=\"{INK}\"/>\n<text x=\"{x:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{tick}</text>\n",
                base + 5.0,
                base + 19.0
            ));
        }
        let middle = f64::midpoint(LEFT, right);
        svg + &format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{base}\" y2=\"{base}\" \
             stroke=\"{INK}\"/>\n<text x=\"{middle}\" y=\"{}\" \
             text-anchor=\"middle\">step</text>\n",
            HEIGHT - 10.0
        )
    }

    fn mark(&self, step: f64, label: &str) -> String {
        let (x, _) = self.at([step, self.y.low]);
        // The label stands on that side of the line where there is more room.
        let (anchor, text_x) = if self.x.share(step) > 0.5 {
            ("end", x - 6.0)
        } else {
            ("start", x + 6.0)
        };
        format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"{INK}\" \
             stroke-dasharray=\"2 3\"/>\n<text x=\"{text_x:.1}\" y=\"{}\" \
             text-anchor=\"{anchor}\">{label}</text>\n",
            HEIGHT - BOTTOM,
            TOP + 12.0
        )
    }

    fn line(&self, series: &Series) -> String {
        let points = thinned(&series.points);
        let at: Vec<(f64, f64)> = points.iter().map(|point| self.at(*point)).collect();
        let path: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let mut svg = format!(
            "<polyline fill=\"none\" stroke-linejoin=\"round\" {} points=\"{}\"/>\n",
            series.look.stroke(),
            path.join(" ")
        );
        // A line of one point would not be seen.
        if matches!(series.look, Look::Dots) || at.len() == 1 {
            svg.extend(at.iter().map(|(x, y)| series.look.circle(*x, *y)));
        }
        svg
    }
}

fn least<'a>(points: impl Iterator<Item = &'a [f64; 2]>, idx: usize) -> Option<f64> {
    points.map(|point| point[idx]).reduce(f64::min)
}

fn greatest<'a>(points: impl Iterator<Item = &'a [f64; 2]>, idx: usize) -> Option<f64> {
    points.map(|point| point[idx]).reduce(f64::max)
}

/// Returns the points, or of a long line the lowest and the highest of each stretch, so that no spike
/// is lost.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let extremes = |stretch: &[[f64; 2]]| {
        let by_value = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let lowest = *stretch.iter().min_by(by_value).unwrap_or(&stretch[0]);
        let highest = *stretch.iter().max_by(by_value).unwrap_or(&stretch[0]);
        if lowest[0] <= highest[0] {
            [lowest, highest]
        } else {
            [highest, lowest]
        }
    };
    points.chunks(stretch).flat_map(extremes).collect()
}

#[cfg(test)]
mod tests {
    use super::{MOST_POINTS, thinned};

    #[test]
    fn thinning_keeps_spikes_and_order() {
        let mut points: Vec<[f64; 2]> = (0..10_000).map(|n| [f64::from(n), 1.0]).collect();
        points[7_777][1] = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS);
        assert!(thin.contains(&[7_777.0, 9.0]));
        assert!(thin.is_sorted_by(|a, b| a[0] <= b[0]));
    }
}
