//! What every engine must do about budgets.

use std::time::Duration;

use super::{Store, space};
use crate::budget::{Ask, Group, News, PoolAsk, Rates, Standing};

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

pub(in crate::record) async fn all_who_draw_get_no_more_than_the_page_may(store_at: &dyn Store) {
    let record = store_at.open().await;
    let space = space("1");
    let rates = |messages| Rates { messages, ..Rates::default() };
    let ask = |number, demand, using| Ask {
        number,
        page: rates(30),
        group: None,
        demand: rates(demand),
        using: rates(using),
        spent: rates(0),
        pool: Some(PoolAsk { limit: 100, calls: 90, unspent: None }),
        heard: 0,
        news: News::default(),
    };
    let draw = async |owner, ask: &Ask| record.draw(&space.origin, &space.page, owner, ask).await.expect("a slice");
    let rate = async |owner, ask: Ask| draw(owner, &ask).await.rates.messages;
    let slow = |ask| Ask { group: Some(Group { name: "spring".to_owned(), rates: rates(10) }), ..ask };
    assert_eq!(rate(1, ask(1, 99, 0)).await, 30);
    assert_eq!(rate(2, slow(ask(1, 99, 0))).await, 0, "all of it is the first one's");
    assert_eq!(rate(1, ask(2, 99, 30)).await, 20, "who keeps to less leaves more");
    assert_eq!(rate(1, ask(3, 99, 20)).await, 20);
    assert_eq!(rate(2, slow(ask(2, 99, 0))).await, 10);
    // Of a hundred calls a day an eighth of what is left at a time.
    assert_eq!(draw(3, &ask(1, 0, 0)).await.portion.map(|portion| portion.left), Some(49));
    let news = News { throttles: 1, shut_for: Some(Duration::from_mins(1)), opened: false };
    draw(2, &Ask { news, ..slow(ask(3, 99, 10)) }).await;
    let told = draw(1, &ask(4, 99, 20)).await;
    assert!(matches!((told.throttles, told.standing), (1, Standing::Shut(_))), "{told:?}");
    record.verify().await.expect("healthy");
}
