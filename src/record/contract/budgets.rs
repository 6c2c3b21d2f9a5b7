//! What every engine must do about budgets.

use super::{Store, space};
use crate::budget::{Ask, News, PoolAsk, Rates, Standing};

pub(in crate::record) async fn whoever_draws_alone_on_a_budget_may_do_all_of_it(store_at: &dyn Store) {
    let record = store_at.open().await;
    let (space, page) = (space("1"), Rates { media: 10, messages: 30, conversations: 2, calls: 300 });
    let ask = |number| Ask {
        number,
        page,
        group: None,
        demand: page,
        using: Rates::default(),
        spent: Rates::default(),
        pool: Some(PoolAsk { limit: 100, calls: 7, unspent: None }),
        heard: 0,
        news: News::default(),
    };
    let slice = record.draw(&space.origin, &space.page, 1, &ask(1)).await.expect("a slice");
    assert_eq!((slice.rates, slice.held, slice.standing, slice.throttles), (page, page, Standing::Open, 0));
    assert!(!slice.lasts.is_zero() && slice.portion.is_some_and(|portion| portion.calls == 7), "{slice:?}");
    record.verify().await.expect("healthy");
}
