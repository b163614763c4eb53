use serde_json::Value;

use crate::hub::{HubError, text_of};

/// A machine that the Hub rents out.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavour {
    /// What it is asked for by.
    pub name: String,
    /// Processor cores, as the Hub writes them.
    pub cpu: String,
    /// Memory of the machine, as the Hub writes it.
    pub ram: String,
    /// Its cards, e.g. `L4`; `None` if it has none.
    pub card: Option<String>,
    /// How many cards it has.
    pub cards: u64,
    /// Bytes of one card's memory; 0 without a card.
    pub card_bytes: u64,
    /// US dollars of a minute; `None` if the Hub charges by something unknown.
    pub usd_per_minute: Option<f64>,
}

impl Flavour {
    pub(super) fn read(what: &str, value: &Value) -> Result<Self, HubError> {
        let accelerator = &value["accelerator"];
        let cards = match &accelerator["quantity"] {
            Value::String(text) => text.trim().parse().unwrap_or(0),
            number => number.as_u64().unwrap_or(0),
        };
        let all_bytes = accelerator["vram"].as_str().and_then(bytes).unwrap_or(0);
        let micro = value["unitCostMicroUSD"].as_f64().map(|micro| micro / 1e6);
        let unit = micro.or_else(|| value["unitCostUSD"].as_f64());
        let unit = unit.filter(|unit| unit.is_finite() && *unit >= 0.0);
        let usd_per_minute = match value["unitLabel"].as_str() {
            Some("second") => unit.map(|unit| unit * 60.0),
            None | Some("minute") => unit,
            Some("hour") => unit.map(|unit| unit / 60.0),
            Some(_) => None,
        };
        let plain = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            name: text_of(what, value, "name")?,
            cpu: plain("cpu"),
            ram: plain("ram"),
            card: accelerator["model"].as_str().map(str::to_owned),
            cards,
            // The Hub tells the memory of all cards together.
            card_bytes: all_bytes.checked_div(cards).unwrap_or(0),
            usd_per_minute,
        })
    }

    /// Returns the US dollars for so many seconds; begun minutes count whole.
    pub fn cost_usd(&self, seconds: u64) -> Option<f64> {
        let per_minute = self.usd_per_minute?;
        Some(seconds.div_ceil(60) as f64 * per_minute)
    }
}

/// Returns the cheapest flavour one of whose cards has `card_bytes` of memory, the smaller one of two at
/// the same price; `None` if no card is as large.
pub fn cheapest(flavours: &[Flavour], card_bytes: u64) -> Option<&Flavour> {
    let fits = |flavour: &&Flavour| flavour.cards > 0 && flavour.card_bytes >= card_bytes;
    let priced = |flavour: &&Flavour| flavour.usd_per_minute.is_some();
    let fitting = flavours.iter().filter(fits).filter(priced);
    fitting.min_by(|one, other| {
        let price = |flavour: &Flavour| flavour.usd_per_minute.unwrap_or(f64::INFINITY);
        let by_price = price(one).total_cmp(&price(other));
        by_price
            .then(one.card_bytes.cmp(&other.card_bytes))
            .then_with(|| one.name.cmp(&other.name))
    })
}

/// Reads `24 GB`; a card of that name has a little more.
fn bytes(text: &str) -> Option<u64> {
    let digits = text
        .trim()
        .trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.trim()[digits.len()..].to_ascii_uppercase();
    let number: f64 = digits.trim().parse().ok()?;
    let scale = match unit.as_str() {
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "TB" | "T" => 1e12,
        "GIB" | "GI" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * scale;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range, and whole bytes are enough"
    )]
    (bytes.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flavour(name: &str, quantity: &str, vram: &str, micro: u64) -> Flavour {
        let value = json!({
            "name": name, "cpu": "8 vCPU", "ram": "30 GB", "unitLabel": "minute",
            "unitCostMicroUSD": micro, "unitCostUSD": 99.0,
            "accelerator": {"model": "X", "quantity": quantity, "vram": vram},
        });
        Flavour::read("ask for prices", &value).unwrap()
    }

    #[test]
    fn the_cheapest_card_that_is_large_enough_is_chosen() {
        let all = [
            flavour("big", "1", "80 GB", 41_667),
            flavour("four", "4", "96 GB", 63_333),
            flavour("mid", "1", "24 GB", 16_667),
            flavour("cheap", "1", "24 GB", 13_333),
            flavour("small", "1", "16 GB", 6_667),
        ];
        let chosen = |gigabytes: u64| {
            let found = cheapest(&all, gigabytes * 1_000_000_000);
            found.map(|flavour| flavour.name.as_str())
        };
        assert_eq!(chosen(10), Some("small"));
        assert_eq!(chosen(20), Some("cheap"));
        assert_eq!(
            chosen(48),
            Some("big"),
            "four cards of 24 GB are not one of 96"
        );
        assert_eq!(chosen(100), None);
    }

    #[test]
    fn begun_minutes_are_paid() {
        let cheap = flavour("cheap", "1", "24 GB", 10_000);
        assert_eq!(cheap.cost_usd(0), Some(0.0));
        assert_eq!(cheap.cost_usd(61), Some(0.02));
        let odd = json!({"name": "odd", "unitCostUSD": 1.0, "unitLabel": "fortnight"});
        let odd = Flavour::read("ask", &odd).unwrap();
        assert_eq!((odd.cost_usd(60), odd.cards, odd.card_bytes), (None, 0, 0));
        let hourly = json!({"name": "h", "unitCostUSD": 6.0, "unitLabel": "hour"});
        let hourly = Flavour::read("ask", &hourly).unwrap();
        assert_eq!(hourly.cost_usd(60), Some(0.1));
    }
}
