use super::error::GgufProblem;

/// Something wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: u64,
    pub(super) problem: GgufProblem,
}

/// A place in a file's bytes; reading moves it on and never past the end.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.position as u64
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.position) as u64
    }

    pub(super) fn fault(&self, problem: GgufProblem) -> Fault {
        Fault {
            offset: self.position(),
            problem,
        }
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let left = &self.bytes[self.position..];
        let Some(taken) = usize::try_from(length).ok().and_then(|n| left.get(..n)) else {
            return Err(self.fault(GgufProblem::End {
                needed: length,
                left: self.left(),
            }));
        };
        self.position += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N as u64)?;
        Ok(*bytes.first_chunk().expect("so many bytes were taken"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads one value of `N` bytes.
    pub(super) fn number<const N: usize, T>(
        &mut self,
        from: impl Fn([u8; N]) -> T,
    ) -> Result<T, Fault> {
        self.array().map(from)
    }

    /// Reads so many values of `N` bytes.
    pub(super) fn numbers<const N: usize, T>(
        &mut self,
        count: usize,
        from: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Fault> {
        let bytes = self.take((count as u64).saturating_mul(N as u64))?;
        let (values, _) = bytes.as_chunks();
        Ok(values.iter().map(|&bytes| from(bytes)).collect())
    }

    /// Reads a number of things, each of at least `least` bytes, and checks that they have room.
    pub(super) fn count(&mut self, what: &'static str, least: u64) -> Result<usize, Fault> {
        let at = self.position();
        let count = self.u64()?;
        self.check_count(at, what, count, least)
    }

    /// Checks that so many things of at least `least` bytes have room in what is left.
    pub(super) fn check_count(
        &self,
        at: u64,
        what: &'static str,
        count: u64,
        least: u64,
    ) -> Result<usize, Fault> {
        let left = self.left();
        let most = left / least;
        let fits = usize::try_from(count).ok().filter(|_| count <= most);
        fits.ok_or(Fault {
            offset: at,
            problem: GgufProblem::Count {
                what,
                count,
                left,
                most,
            },
        })
    }

    /// Reads a string: its length in bytes, then the bytes.
    pub(super) fn string(&mut self) -> Result<&'a str, Fault> {
        let length = self.count("bytes of a string", 1)?;
        let at = self.position();
        let bytes = self.take(length as u64)?;
        std::str::from_utf8(bytes).map_err(|error| Fault {
            offset: at + error.valid_up_to() as u64,
            problem: GgufProblem::NotUtf8,
        })
    }
}
