//! Nothing: the tests and the canaries are what is here.
