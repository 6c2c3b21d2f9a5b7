//! Whether it all comes to an end: from every world, once nothing goes wrong any more.
//!
//! Worlds form cycles (a worker may start and be killed for ever), so that "in the end" is not for the checker to say.
//! It is for a run that begins in each world there is, in which nobody is killed, no lease lost, and Meta answers.

use stateright::{Model, Property};

use super::properties;
use super::protocol::{Action, Campaign};
use super::world::{Answer, World};

/// More than a calm run of a few deliveries takes.
const STEPS: usize = 200;

/// A campaign whose worlds are each left alone for once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calm(pub(super) Campaign);

impl Model for Calm {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        self.0.init_states()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.0.actions(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.0.next_state(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("a calm run comes to an end", |calm, world| calm.0.ends_from(world))]
    }
}

impl Campaign {
    /// Whether a calm run from this world ends everybody's delivery.
    fn ends_from(&self, world: &World) -> bool {
        let mut world = world.clone();
        for _ in 0..STEPS {
            if !world.paused && properties::is_at_rest(&world) {
                return properties::everybody_has_an_end(&world);
            }
            let mut actions = Vec::new();
            self.actions(&world, &mut actions);
            let Some(next) = actions.into_iter().filter(|action| urgency(action) > 0).max_by_key(urgency) else {
                return false;
            };
            world = self.next_state(&world, next).unwrap_or(world);
        }
        false
    }
}

/// What comes first in a calm run; what does not come at all is nothing.
fn urgency(action: &Action) -> u8 {
    match action {
        Action::Unpause | Action::Bury { .. } => 9,
        Action::Record { .. } => 8,
        Action::Answer { answer: Answer::Accepted, .. } => 7,
        Action::GiveUp { .. } => 6,
        Action::Send { .. } => 5,
        Action::Intend { .. } => 4,
        Action::Claim { .. } => 3,
        Action::Enlist { .. } => 2,
        Action::Retire { .. } => 1,
        _ => 0,
    }
}
