//! Places in JSON documents (JSON Pointer, RFC 6901).

/// One step of a pointer: `/` and the name of a member, escaped.
pub fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_pointer_is_escaped() {
        assert_eq!(step("title") + &step("b/c~d") + &step(""), "/title/b~1c~0d/");
    }
}
