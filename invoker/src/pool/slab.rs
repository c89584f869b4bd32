//! Things under ids that are never used again, in the order of their places: iteration is the same in every run.

/// Names one thing ever put into a [`Slab`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub fn new() -> Slab<T> {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub fn insert(&mut self, value: T) -> Id {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                value: None,
            });
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 at a time")
        });
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        Id {
            index,
            generation: place.generation,
        }
    }

    pub fn get(&self, id: Id) -> Option<&T> {
        self.places
            .get(id.index as usize)
            .filter(|p| p.generation == id.generation)?
            .value
            .as_ref()
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.places
            .get_mut(id.index as usize)
            .filter(|p| p.generation == id.generation)?
            .value
            .as_mut()
    }

    pub fn remove(&mut self, id: Id) -> Option<T> {
        let place = self
            .places
            .get_mut(id.index as usize)
            .filter(|p| p.generation == id.generation)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    pub fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let id = Id {
                index: index as u32,
                generation: place.generation,
            };
            place.value.as_ref().map(|value| (id, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_finds_nothing_in_a_place_used_again() {
        let mut slab = Slab::new();
        let first = slab.insert("a");
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"b")));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.iter().map(|(id, v)| (id, *v)).collect::<Vec<_>>(), [(second, "b")]);
    }
}
