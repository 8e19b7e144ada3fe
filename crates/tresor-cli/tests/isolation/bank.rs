//! Money that moves between few accounts; whoever looks at all of them sees as much as there is.

use tresor_testkit::{
    Reply, Server,
    isolation::{Begun, Operation},
    random::Random,
};

use crate::{
    client::Client,
    door::{Door, Told, Trouble},
    queue::{Queue, Watched},
    resp::{Resp, values},
};

const ACCOUNTS: u64 = 6;

const EACH: i64 = 100;

/// What there is.
pub(crate) const TOTAL: i64 = ACCOUNTS as i64 * EACH;

fn account(number: u64) -> String {
    format!("account{number}")
}

/// Gives every account its money.
pub(crate) fn prepare(server: &Server) {
    let accounts = (0..ACCOUNTS).flat_map(|number| [account(number), EACH.to_string()]);
    let words: Vec<String> = ["MSET".to_owned()].into_iter().chain(accounts).collect();
    let reply = server.resp().command(&words).expect("the server answers");
    assert_eq!(reply.text(), Some("OK"));
}

/// One transfer, or one look at everything.
pub(crate) fn act(client: &mut Client<'_>) {
    let is_resp = client.door().resp().is_some();
    match client.random.below(10) {
        0..3 if is_resp => client.at_once(&mut |door, _, begun| look_at_once(resp(door), begun)),
        3..5 if is_resp => client.at_once(&mut |door, random, begun| look_in_exec(resp(door), random, begun)),
        5 if is_resp => {
            client.at_once(&mut |door, random, begun| transfer_in_exec(resp(door), random, begun))
        }
        0..3 => client.with_locks(&mut |door, random, begun| {
            // From another end each time, so that lookers and movers meet.
            let first = random.below(ACCOUNTS);
            let mut balances = Vec::new();
            for place in 0..ACCOUNTS {
                balances.push(balance(door.get(&account((first + place) % ACCOUNTS))?));
            }
            begun.did(Operation::ReadBalances(balances));
            Ok(())
        }),
        _ => client.with_locks(&mut |door, random, _| transfer(door, random)),
    }
}

fn resp(door: &mut dyn Door) -> &mut Resp {
    door.resp().expect("only asked for where it is")
}

fn balance(text: Option<String>) -> i64 {
    let text = text.unwrap_or_else(|| panic!("an account is gone"));
    text.parse().unwrap_or_else(|_| panic!("not a balance: {text}"))
}

/// Two accounts, and how much is to move.
fn order(random: &mut Random) -> (String, String, i64) {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    (account(from), account(to), 1 + random.below(30) as i64)
}

fn transfer(door: &mut dyn Door, random: &mut Random) -> Told<()> {
    let (from, to, amount) = order(random);
    let held = balance(door.get(&from)?);
    if held < amount {
        return Ok(());
    }
    door.put(&from, &(held - amount).to_string())?;
    if random.one_in(8) {
        // Takes back, and does it again.
        door.rollback()?;
        door.put(&from, &(held - amount).to_string())?;
    }
    let held = balance(door.get(&to)?);
    door.put(&to, &(held + amount).to_string())
}

fn look_at_once(door: &mut Resp, begun: &mut Begun) -> Told<()> {
    let words: Vec<String> = ["MGET".to_owned()].into_iter().chain((0..ACCOUNTS).map(account)).collect();
    let balances = values(door.ask(&words)?).into_iter().map(balance).collect();
    begun.did(Operation::ReadBalances(balances));
    Ok(())
}

fn look_in_exec(door: &mut Resp, random: &mut Random, begun: &mut Begun) -> Told<()> {
    door.ask(&["MULTI"])?;
    let first = random.below(ACCOUNTS);
    for place in 0..ACCOUNTS {
        door.ask(&["GET", &account((first + place) % ACCOUNTS)])?;
    }
    let balances = values(door.ask(&["EXEC"])?).into_iter().map(balance).collect();
    begun.did(Operation::ReadBalances(balances));
    Ok(())
}

fn transfer_in_exec(door: &mut Resp, random: &mut Random, begun: &mut Begun) -> Told<()> {
    let (from, to, amount) = order(random);
    let held = balance(Watched::read(door, &from)?);
    if held < amount {
        door.ask(&["UNWATCH"])?;
        return Ok(());
    }
    let mut queue = Queue::default();
    // What they mean does not matter: a sum is checked.
    queue.push(&["DECRBY", &from, &amount.to_string()], Operation::ReadBalances(Vec::new()));
    queue.push(&["INCRBY", &to, &amount.to_string()], Operation::ReadBalances(Vec::new()));
    let answer = |_: &mut Operation, reply: &Reply| assert!(reply.integer().is_some(), "{reply}");
    let unheard = random.one_in(40);
    let done = queue.execute(door, Vec::new(), unheard, (begun, &answer));
    begun.instead(Vec::new());
    if done? { Ok(()) } else { Err(Trouble::Refused) }
}
