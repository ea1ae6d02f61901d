//! Objects: what the catalog holds of one kind, shared between its states until one of them changes it.
//!
//! Input: objects under their numbers. Output: a map that looks like any other. Invariants: a copy of it costs nothing and sees none of
//! what is done to the original; a change copies the objects that it touches, and pointers to the others. A rehearsal keeps
//! the state before every statement, and a history makes thousands of objects.

use std::collections::{BTreeMap, btree_map};
use std::iter::FusedIterator;
use std::ops::{Deref, DerefMut, Index};
use std::sync::Arc;

use super::Oid;

/// Objects of a kind by their numbers.
#[derive(Debug, Clone)]
pub struct Objects<T>(Arc<BTreeMap<Oid, Arc<T>>>);

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Objects(Arc::default())
    }
}

impl<T> Objects<T> {
    /// The object of a number.
    pub fn get(&self, oid: &Oid) -> Option<&T> {
        self.0.get(oid).map(Arc::as_ref)
    }

    /// Is there an object of this number?
    pub fn contains_key(&self, oid: &Oid) -> bool {
        self.0.contains_key(oid)
    }

    /// Objects with their numbers, in the order in which they were made.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.0.iter())
    }

    /// Their numbers.
    pub fn keys(&self) -> btree_map::Keys<'_, Oid, Arc<T>> {
        self.0.keys()
    }

    /// The objects.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.0.values().map(Arc::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Clone> Objects<T> {
    /// The object of a number, to be changed.
    pub fn get_mut(&mut self, oid: &Oid) -> Option<&mut T> {
        if !self.0.contains_key(oid) {
            return None;
        }
        Arc::make_mut(&mut self.0).get_mut(oid).map(Arc::make_mut)
    }

    /// All objects, to be changed: each is copied, so that this is for few of them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        Arc::make_mut(&mut self.0).values_mut().map(Arc::make_mut)
    }

    /// Changes the objects for which the condition holds.
    pub fn change(&mut self, concerns: impl Fn(&T) -> bool, mut change: impl FnMut(&mut T)) {
        if self.values().any(&concerns) {
            let concerned = Arc::make_mut(&mut self.0).values_mut().filter(|object| concerns(object));
            concerned.for_each(|object| change(Arc::make_mut(object)));
        }
    }

    /// Puts an object under a number; the one that was there.
    pub fn insert(&mut self, oid: Oid, object: T) -> Option<T> {
        Arc::make_mut(&mut self.0).insert(oid, Arc::new(object)).map(Arc::unwrap_or_clone)
    }

    /// Takes an object out.
    pub fn remove(&mut self, oid: &Oid) -> Option<T> {
        if !self.0.contains_key(oid) {
            return None;
        }
        Arc::make_mut(&mut self.0).remove(oid).map(Arc::unwrap_or_clone)
    }

    /// Keeps the objects for which the condition holds.
    pub fn retain(&mut self, keep: impl Fn(&Oid, &T) -> bool) {
        if !self.iter().all(|(oid, object)| keep(oid, object)) {
            Arc::make_mut(&mut self.0).retain(|oid, object| keep(oid, object));
        }
    }
}

impl<T> Index<&Oid> for Objects<T> {
    type Output = T;

    fn index(&self, oid: &Oid) -> &T {
        &self.0[oid]
    }
}

impl<T> FromIterator<(Oid, T)> for Objects<T> {
    fn from_iter<I: IntoIterator<Item = (Oid, T)>>(objects: I) -> Self {
        Objects(Arc::new(objects.into_iter().map(|(oid, object)| (oid, Arc::new(object))).collect()))
    }
}

impl<'o, T> IntoIterator for &'o Objects<T> {
    type Item = (&'o Oid, &'o T);
    type IntoIter = Iter<'o, T>;

    fn into_iter(self) -> Iter<'o, T> {
        self.iter()
    }
}

/// Objects with their numbers.
#[derive(Debug)]
pub struct Iter<'o, T>(btree_map::Iter<'o, Oid, Arc<T>>);

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter(self.0.clone())
    }
}

impl<'o, T> Iterator for Iter<'o, T> {
    type Item = (&'o Oid, &'o T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(oid, object)| (oid, object.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(oid, object)| (oid, object.as_ref()))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}

/// Something that is copied only once it is changed.
#[derive(Debug, Clone, Default)]
pub struct Shared<T>(Arc<T>);

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<'s, T> IntoIterator for &'s Shared<T>
where
    &'s T: IntoIterator,
{
    type Item = <&'s T as IntoIterator>::Item;
    type IntoIter = <&'s T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&*self.0).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_sees_nothing_of_what_comes_after() {
        let mut now: Objects<&str> = [(1, "one"), (2, "two")].into_iter().collect();
        let before = now.clone();
        assert_eq!(now.insert(3, "three"), None);
        assert_eq!(now.remove(&1), Some("one"));
        assert_eq!(now.remove(&7), None);
        *now.get_mut(&2).expect("an object") = "zwei";
        assert_eq!(before.values().copied().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(now.iter().map(|(oid, name)| (*oid, *name)).collect::<Vec<_>>(), [(2, "zwei"), (3, "three")]);
    }

    #[test]
    fn what_changes_nothing_copies_nothing() {
        let mut now: Objects<u8> = [(1, 1), (2, 2)].into_iter().collect();
        let before = now.clone();
        now.retain(|_, number| *number < 9);
        now.change(|number| *number > 9, |number| *number = 0);
        assert_eq!(now.get_mut(&3), None);
        assert!(Arc::ptr_eq(&now.0, &before.0));
        now.change(|number| *number > 1, |number| *number = 0);
        assert!(Arc::ptr_eq(&now.0[&1], &before.0[&1]));
        assert_eq!((now[&2], before[&2]), (0, 2));
    }
}
