use crate::support::connection::Request;

/// What goes wrong with some requests.
#[derive(Clone)]
pub(crate) struct Fault {
    /// The method of those requests.
    pub(crate) method: &'static str,
    /// What their path holds.
    pub(crate) path: &'static str,
    /// How many of them go well first.
    pub(crate) after: usize,
    /// How many then go wrong.
    pub(crate) times: usize,
    /// How.
    pub(crate) how: Misbehaviour,
}

/// How an answer goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Misbehaviour {
    /// Another status, with headers and body.
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// The body ends after so many bytes, the connection with it.
    Cut(usize),
    /// The body has other bytes than it should.
    Corrupt,
    /// A `Range` is not honoured.
    WholeBody,
    /// The connection ends without an answer.
    Hangup,
    /// The answer is lost on its way, after the request was carried out.
    LostAnswer,
    /// Events end cleanly after so many.
    EndEvents(usize),
    /// The connection ends after so many events.
    CutEvents(usize),
}

/// Faults and how far they are.
#[derive(Default)]
pub(super) struct Faults(Vec<(Fault, usize)>);

impl Faults {
    pub(super) fn new(faults: &[Fault]) -> Self {
        Self(faults.iter().map(|fault| (fault.clone(), 0)).collect())
    }

    /// Returns what is to go wrong with the request, if anything.
    pub(super) fn draw(&mut self, request: &Request) -> Option<Misbehaviour> {
        for (fault, met) in &mut self.0 {
            if request.method == fault.method && request.path.contains(fault.path) {
                *met += 1;
                if *met > fault.after && *met <= fault.after + fault.times {
                    return Some(fault.how.clone());
                }
            }
        }
        None
    }
}
