use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::labelling::{Page, answers, judged_run, keys};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages")
}

/// A person with a browser.
struct Person {
    name: &'static str,
    browser: Browser,
}

impl Person {
    fn new(name: &'static str) -> Option<Self> {
        let profile = directory().join(format!("profile-label-{name}-{}", std::process::id()));
        let browser = Browser::start(profile)?;
        Some(Self { name, browser })
    }

    /// Opens the page and says who it is.
    fn arrive(&mut self, address: &str) {
        self.browser.visit(address);
        self.browser
            .wait_for("document.activeElement?.id === 'name'");
        self.browser.type_text(self.name);
        self.browser.press("Enter");
        self.wait_for_conversation(1);
    }

    fn wait_for_conversation(&mut self, n: usize) {
        self.browser.wait_for(&format!(
            "document.querySelector('main h2')?.innerText.startsWith('Conversation {n} of')"
        ));
    }

    /// Says with keys what `said` has, and goes on.
    fn answer_with_keys(&mut self, said: &Value) {
        let met = if said["kind"] == "met" { "2" } else { "1" };
        self.browser.press(met);
        self.browser.press(said["useful"].as_str().unwrap());
        self.wait_until_saved();
        self.browser.press("Enter");
    }

    /// The same with the mouse.
    fn answer_with_clicks(&mut self, said: &Value) {
        for (n, criterion) in ["kind", "useful"].into_iter().enumerate() {
            let answer = said[criterion].as_str().unwrap();
            self.browser
                .click(&format!("input[name=question-{n}][value='{answer}']"));
        }
        self.wait_until_saved();
        self.browser.click("button.main");
    }

    fn wait_until_saved(&mut self) {
        self.browser
            .wait_for("document.getElementById('saved').innerText === 'Saved'");
    }

    /// Returns which conversations are marked as scored, from 1.
    fn scored(&mut self) -> Value {
        self.browser.ask(
            "[...document.querySelectorAll('#places button')].flatMap((button, n) => \
             button.getAttribute('aria-label').endsWith('scored') ? [n + 1] : [])",
        )
    }

    /// Returns what is chosen now, by question.
    fn chosen(&mut self) -> Value {
        self.browser
            .ask("[...document.querySelectorAll('main input:checked')].map((input) => input.value)")
    }

    /// Nothing tells which model spoke, and what it said is text.
    fn assert_blind(&mut self) {
        let page = self.browser.text("document.documentElement.outerHTML");
        for hidden in ["secret", "tuned", "coaching-9", "So it is"] {
            assert!(!page.contains(hidden), "{hidden} is told");
        }
        let elements = self
            .browser
            .ask("document.querySelectorAll('main img, main script').length");
        assert_eq!(elements, 0);
    }

    fn picture(&mut self, name: &str) {
        let file = directory().join(format!("label-{name}.png"));
        self.browser.screenshot(&file, Some(2000));
    }
}

#[test]
fn two_people_with_browsers_label_at_once_and_a_reload_loses_nothing() {
    let project = judged_run(8, "");
    let page = Page::open(&project, &["--count", "6"]);
    let (Some(mut ada), Some(mut ben)) = (Person::new("Ada"), Person::new("Ben")) else {
        return;
    };
    ada.browser.visit(&page.address);
    ada.browser
        .wait_for("document.activeElement?.id === 'name'");
    ada.picture("name");
    ada.arrive(&page.address);
    ben.arrive(&page.address);
    let (of_ada, of_ben) = (page.items("Ada"), page.items("Ben"));
    let against = &of_ben["items"][0]["key"];
    for n in 0..3 {
        ada.assert_blind();
        ada.answer_with_keys(&answers(&of_ada["items"][n], None));
        ben.assert_blind();
        ben.answer_with_clicks(&answers(&of_ben["items"][n], Some(against)));
        ada.wait_for_conversation(n + 2);
        ben.wait_for_conversation(n + 2);
    }

    // One answer of the fourth, then the page is loaded again: it goes on right there.
    let fourth = answers(&of_ada["items"][3], None);
    ada.browser
        .press(if fourth["kind"] == "met" { "2" } else { "1" });
    ada.wait_until_saved();
    ada.browser.call("Page.reload", json!({}));
    ada.browser
        .wait_for("document.getElementById('saved')?.innerText === ''");
    ada.wait_for_conversation(4);
    assert_eq!(ada.scored(), json!([1, 2, 3]));
    assert_eq!(ada.chosen(), json!([fourth["kind"]]));
    let focused = ada.browser.text("document.activeElement.name");
    assert_eq!(focused, "question-1", "the first that is not answered");
    ada.browser.click("#places button:nth-child(2)");
    let second = answers(&of_ada["items"][1], None);
    assert_eq!(ada.chosen(), json!([second["kind"], second["useful"]]));
    ada.browser.click("#places button:nth-child(4)");
    ada.browser.press(fourth["useful"].as_str().unwrap());
    ada.wait_until_saved();
    ada.browser.click("textarea");
    ada.browser.type_text("Ünsure 2");
    ada.browser.click("button.main");
    ada.wait_for_conversation(5);

    for dark in [false, true] {
        let name = if dark { "dark" } else { "light" };
        ada.browser.dark(dark);
        ada.picture(name);
        ada.browser.window(390, 844);
        let sideways = "document.documentElement.scrollWidth > innerWidth";
        assert_eq!(ada.browser.ask(sideways), false);
        ada.picture(&format!("{name}-390"));
        ada.browser.window(1280, 900);
    }
    for n in 4..6 {
        ada.answer_with_keys(&answers(&of_ada["items"][n], None));
    }
    ada.browser
        .wait_for("document.getElementById('progress').innerText.startsWith('Ada: 6 of 6 scored')");
    ada.picture("done");

    let stored = page.items("Ada");
    assert_eq!(keys(&stored), keys(&of_ada));
    for item in stored["items"].as_array().unwrap() {
        assert_eq!(item["answers"], answers(item, None));
    }
    assert_eq!(stored["items"][3]["note"], "Ünsure 2");
    let stored = page.items("Ben");
    for (n, item) in stored["items"].as_array().unwrap().iter().enumerate() {
        let said = match n {
            0..3 => answers(item, Some(against)),
            _ => json!({}),
        };
        assert_eq!(item["answers"], said, "{n}");
    }
    for person in [&mut ada, &mut ben] {
        assert_eq!(person.browser.problems(), Vec::<String>::new());
    }

    // Where nothing can be stored any more, the page says so.
    drop(page);
    ben.browser.press("1");
    ben.browser
        .wait_for("document.getElementById('saved').innerText.startsWith('Not saved')");
}
