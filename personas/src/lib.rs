//! Who speaks and what they want: persona grids, held-out draws and user simulators.
