//! Plan, simulate, score, compare, decide; and the command line.
