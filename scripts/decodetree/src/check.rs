//! Checks that need the whole table: overlaps, and names shared by tables.

use crate::Error;
use crate::model::{Item, Model, Pattern};

/// Patterns of one table that are not in a common `{ }` exclude each other.
pub fn check(model: &Model) -> Result<(), Error> {
    check_items(model, &model.root, false).map(|_| ())
}

/// Returns the patterns inside `items`.
fn check_items(model: &Model, items: &[Item], overlap: bool) -> Result<Vec<usize>, Error> {
    let mut seen: Vec<usize> = Vec::new();
    for item in items {
        let inside = match item {
            Item::Pattern(index) => vec![*index],
            Item::Group { overlap, items } => check_items(model, items, *overlap)?,
        };
        if !overlap {
            for (a, b) in pairs(&seen, &inside) {
                exclude(model, &model.patterns[a], &model.patterns[b])?;
            }
        }
        seen.extend(inside);
    }
    Ok(seen)
}

fn pairs<'a>(a: &'a [usize], b: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    a.iter().flat_map(move |&x| b.iter().map(move |&y| (x, y)))
}

fn exclude(model: &Model, a: &Pattern, b: &Pattern) -> Result<(), Error> {
    if (a.bits ^ b.bits) & a.mask & b.mask != 0 {
        return Ok(());
    }
    let message = format!("'{}' overlaps '{}' of line {}", b.name, a.name, a.line);
    Err(model.error(b.line, message))
}

/// Patterns of one name have one argument set, whatever their tables.
pub fn check_together(models: &[Model]) -> Result<(), Error> {
    let mut seen: Vec<(&Model, &Pattern)> = Vec::new();
    for model in models {
        for pattern in &model.patterns {
            match seen.iter().find(|(_, other)| other.name == pattern.name) {
                Some((home, other)) if other.set != pattern.set => {
                    let message = format!(
                        "'{}' has argument set &{}, but &{} at {}:{}",
                        pattern.name, pattern.set, other.set, home.path, other.line
                    );
                    return Err(model.error(pattern.line, message));
                }
                Some(_) => {}
                None => seen.push((model, pattern)),
            }
        }
    }
    Ok(())
}
