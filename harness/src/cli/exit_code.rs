/// Everything went well; for a verdict: ship.
pub(crate) const SUCCESS: u8 = 0;
/// A candidate is not to be deployed, as a verdict of the same code says.
pub(crate) const DO_NOT_DEPLOY: u8 = 13;
/// The command line or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;
/// The input data is wrong, the evaluation is invalid, or a job failed or left less than expected.
pub(crate) const DATA: u8 = 65;
/// A server or service is unavailable, serves another model than planned, or was too slow for the
/// run's deadline; or the run's budget is spent.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A bug of ours.
pub(crate) const INTERNAL: u8 = 70;
/// A file could not be read or written, e.g. because the disk is full.
pub(crate) const INPUT_OUTPUT: u8 = 74;
/// Interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// The table as `--help` shows it; the verdicts' codes are `Verdict::exit_code`.
pub(crate) const TABLE: &str = "\
Begin with `shipworthy demo`, then `shipworthy init` a project of your own.

Exit codes:
    0  ship, or success
   10  iterate
   11  more evidence
   12  hold (suspiciously good)
   13  do not deploy, or a sanity check failed
    2  usage or configuration
   65  bad input data, an invalid evaluation, or a job that failed or left too little
   69  a server is unavailable or serves another model than planned, or `limits.deadline_s` or a
       `budget` is used up
   70  a bug of ours
   74  a file could not be read or written (disk full, permissions)
  130  interrupted";
