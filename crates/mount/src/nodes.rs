//! What the kernel knows by number.
//!
//! A number is made of the folder's and the name, so it is the same whenever the kernel asks anew. What the kernel
//! has forgotten is forgotten here, too.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use fuser::FileType;

use crate::attributes;
use crate::folder::Item;
use crate::lock::lock;

/// The number of the root, which FUSE says.
pub(crate) const ROOT: u64 = 1;

/// How many files and links the kernel may know before it is asked to forget some; each takes some 400 bytes here.
const MANY: usize = 200_000;

/// Something that the kernel knows.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: u64,
    /// The folder that it is in; the root has none.
    pub(crate) parent: Option<Arc<Node>>,
    /// Its name there.
    pub(crate) name: Box<str>,
    pub(crate) item: Item,
}

impl Node {
    /// Returns its path below the mount point.
    pub(crate) fn path(&self) -> String {
        let mut names = vec![&*self.name];
        let mut node = self;
        while let Some(parent) = &node.parent {
            names.push(&parent.name);
            node = parent;
        }
        // The root's name says nothing.
        names.pop();
        names.reverse();
        names.join("/")
    }
}

impl Drop for Node {
    /// Drops the folders above it one by one: a tree may be deeper than a stack.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(node) = above {
            above = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

/// All that the kernel knows.
#[derive(Debug)]
pub(crate) struct Nodes {
    root: Arc<Node>,
    known: Mutex<HashMap<u64, Known>>,
}

#[derive(Debug)]
struct Known {
    node: Arc<Node>,
    /// How many times the kernel was told of it and has not forgotten it.
    told: u64,
}

impl Nodes {
    pub(crate) fn new(root: Item) -> Self {
        let root = Arc::new(Node { number: ROOT, parent: None, name: "".into(), item: root });
        Self { root, known: Mutex::default() }
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Node>> {
        if number == ROOT {
            return Some(self.root.clone());
        }
        lock(&self.known).get(&number).map(|known| known.node.clone())
    }

    /// Returns the node of a name in a folder, of which the kernel will be told once.
    pub(crate) fn tell(&self, parent: &Arc<Node>, name: &str, item: impl FnOnce() -> Item) -> Arc<Node> {
        let mut number = number_of(parent.number, name);
        let mut nodes = lock(&self.known);
        while let Some(known) = nodes.get_mut(&number) {
            let is_same = &*known.node.name == name
                && known.node.parent.as_ref().is_some_and(|other| other.number == parent.number);
            if is_same {
                known.told = known.told.saturating_add(1);
                return known.node.clone();
            }
            // Another name has this number, once in a very long while.
            number = next(number);
        }
        let node = Arc::new(Node { number, parent: Some(parent.clone()), name: name.into(), item: item() });
        nodes.insert(number, Known { node: node.clone(), told: 1 });
        node
    }

    /// Takes back that the kernel was told of a node so many times.
    pub(crate) fn forget(&self, number: u64, times: u64) {
        let mut nodes = lock(&self.known);
        let Some(known) = nodes.get_mut(&number) else { return };
        known.told = known.told.saturating_sub(times);
        let forgotten = if known.told == 0 { nodes.remove(&number) } else { None };
        drop(nodes);
        // Its folder may be dropped with it.
        drop(forgotten);
    }

    /// Returns files and links that the kernel should forget, each by its folder's number and its name, so that
    /// half of what it may know is left.
    ///
    /// Folders stay: one that is forgotten looks deleted to a process that is in it.
    pub(crate) fn surplus(&self) -> Vec<(u64, Box<str>)> {
        let nodes = lock(&self.known);
        let surplus = nodes.len().saturating_sub(MANY);
        if surplus == 0 {
            return Vec::new();
        }
        let leaves = nodes.values().filter(|known| attributes::kind(&known.node.item) != FileType::Directory);
        let named =
            leaves.filter_map(|known| Some((known.node.parent.as_ref()?.number, known.node.name.clone())));
        named.take(surplus + MANY / 2).collect()
    }
}

/// Returns the number of a name in a folder, unless another name has it.
pub(crate) fn number_of(parent: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (parent, name).hash(&mut hasher);
    // 0 is none, and programs take numbers for signed ones.
    (hasher.finish() >> 1).max(ROOT + 1)
}

fn next(number: u64) -> u64 {
    let next = number.wrapping_add(1) & (u64::MAX >> 1);
    next.max(ROOT + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(target: &str) -> Item {
        Item::Link(target.into())
    }

    #[test]
    fn a_node_is_known_until_it_was_forgotten_as_often_as_told() {
        let nodes = Nodes::new(link("x"));
        let root = nodes.get(ROOT).expect("the root");
        let a = nodes.tell(&root, "a", || link("1"));
        assert_eq!(nodes.tell(&root, "a", || unreachable!("it is known")).number, a.number);
        let b = nodes.tell(&a, "b", || link("2"));
        assert_eq!((b.path(), root.path(), lock(&nodes.known).len()), ("a/b".into(), String::new(), 2));
        nodes.forget(a.number, 1);
        assert!(nodes.get(a.number).is_some());
        nodes.forget(a.number, 5);
        nodes.forget(a.number, 1);
        assert!(nodes.get(a.number).is_none() && nodes.get(b.number).is_some());
        assert_eq!(nodes.tell(&root, "a", || link("1")).number, a.number, "it has the same number again");
        nodes.forget(ROOT, 1);
        assert!(nodes.get(ROOT).is_some());
    }

    #[test]
    fn the_kernel_is_asked_to_forget_files_once_it_knows_many() {
        let nodes = Nodes::new(link("x"));
        let root = nodes.get(ROOT).expect("the root");
        let folder = || Item::from(crate::Folder::default());
        (0..50).for_each(|number| drop(nodes.tell(&root, &format!("folder {number}"), folder)));
        (50..MANY).for_each(|number| drop(nodes.tell(&root, &number.to_string(), || link("y"))));
        assert!(nodes.surplus().is_empty());
        nodes.tell(&root, "one more", || link("y"));
        let surplus = nodes.surplus();
        assert_eq!(surplus.len(), MANY / 2 + 1);
        assert!(surplus.iter().all(|(folder, name)| *folder == ROOT && !name.starts_with("folder")));
        surplus.iter().for_each(|(folder, name)| nodes.forget(number_of(*folder, name), 1));
        assert!(nodes.surplus().is_empty());
    }

    #[test]
    fn a_tree_deeper_than_a_stack_is_dropped() {
        let nodes = Nodes::new(link("x"));
        let mut node = nodes.get(ROOT).expect("the root");
        let mut numbers = Vec::new();
        for _ in 0..300_000 {
            node = nodes.tell(&node, "d", || link("y"));
            numbers.push(node.number);
        }
        // From the top, as no kernel does.
        numbers.iter().for_each(|number| nodes.forget(*number, 1));
        drop(node);
        assert_eq!(lock(&nodes.known).len(), 0);
    }

    #[test]
    fn two_names_never_have_one_number() {
        let nodes = Nodes::new(link("x"));
        let root = nodes.get(ROOT).expect("the root");
        let number = number_of(ROOT, "a");
        // Another one has it.
        let other = Node { number, parent: Some(root.clone()), name: "b".into(), item: link("") };
        lock(&nodes.known).insert(number, Known { node: other.into(), told: 1 });
        let a = nodes.tell(&root, "a", || link("1"));
        assert_eq!(a.number, number + 1);
        assert_eq!(nodes.tell(&root, "a", || link("1")).number, number + 1);
    }
}
