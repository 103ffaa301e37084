//! Trying again what a machine without time may do late.

/// How often something is tried at most.
const ATTEMPTS: usize = 8;

/// Tries until it is right, and returns what came out last.
pub fn at_best<T>(mut attempt: impl FnMut() -> T, is_right: impl Fn(&T) -> bool) -> T {
    let mut result = attempt();
    for _ in 1..ATTEMPTS {
        if is_right(&result) {
            break;
        }
        result = attempt();
    }
    result
}
