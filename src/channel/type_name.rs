//! Names of types, for people.

/// The name of a type without the paths to it and to its parameters.
pub(crate) fn short(type_name: &str) -> String {
    let mut short = String::new();
    // Where the last segment of the present path begins.
    let mut segment = 0;
    let mut rest = type_name;
    while let Some(next) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("::") {
            // What follows a parameter is no path to what precedes it: `<T as Trait>::Item`.
            if short.ends_with('>') {
                short.push_str("::");
                segment = short.len();
            } else {
                short.truncate(segment);
            }
            rest = behind;
            continue;
        }
        short.push(next);
        if !next.is_alphanumeric() && !"_{}#".contains(next) {
            segment = short.len();
        }
        rest = &rest[next.len_utf8()..];
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn paths_are_left_out_everywhere() {
        for (full, expected) in [
            ("u64", "u64"),
            ("app::market::Quote", "Quote"),
            (
                "ringbus::channel::DeadLetter<app::Quote>",
                "DeadLetter<Quote>",
            ),
            (
                "(&str, alloc::vec::Vec<[app::a::B; 3]>)",
                "(&str, Vec<[B; 3]>)",
            ),
            (
                "alloc::boxed::Box<dyn app::Handle + core::marker::Send>",
                "Box<dyn Handle + Send>",
            ),
            (
                "fn(app::A) -> core::option::Option<app::B>",
                "fn(A) -> Option<B>",
            ),
            ("<app::A as app::Has>::Item", "<A as Has>::Item"),
            ("app::run::{{closure}}", "{{closure}}"),
            ("app::größe::Maß", "Maß"),
        ] {
            assert_eq!(short(full), expected);
        }
    }
}
