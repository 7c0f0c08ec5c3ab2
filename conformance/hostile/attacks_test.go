package hostile

import "time"

// Methods of the etcd API.
const (
	kvRange       = "/etcdserverpb.KV/Range"
	kvRangeStream = "/etcdserverpb.KV/RangeStream"
	kvPut         = "/etcdserverpb.KV/Put"
	kvTxn         = "/etcdserverpb.KV/Txn"
	watch         = "/etcdserverpb.Watch/Watch"
	leaseGrant    = "/etcdserverpb.Lease/LeaseGrant"
	leaseAlive    = "/etcdserverpb.Lease/LeaseKeepAlive"
	snapshot      = "/etcdserverpb.Maintenance/Snapshot"
	lock          = "/v3lockpb.Lock/Lock"
	campaign      = "/v3electionpb.Election/Campaign"
)

// attack is a kind of hostile client.
type attack struct {
	name string
	run  func(a *attacker) // until the attack's time is over
	// least is what it has to have done, of whatever it counts: with less it was none. Where the server may
	// rightly stop it that is not much.
	least int64

	noPuts bool // nobody can write meanwhile, the good client neither
	bulk   bool // the good client also puts 1 MB now and then
	tls    bool // against a server with TLS
}

// settle is how long a client waits for the answers to what it has sent.
const settle = 10 * time.Second

var attacks = []attack{
	// What the good client sees when there is nobody: if it is not content now, the machine is at fault.
	{name: "nobody", run: func(a *attacker) { _ = a.hold() }},

	// Answers.
	{name: "ranges-unread", run: rangesUnread, least: 400},
	{name: "ranges-of-clients-that-leave", run: rangesOfClientsThatLeave, least: 400},
	{name: "ranges-read-slowly", run: rangesReadSlowly, least: 8},
	{name: "range-streams-unread", run: rangeStreamsUnread, least: 100},
	{name: "limit-of-int64", run: limitOfInt64, least: 32},
	{name: "snapshots-at-once", run: snapshotsAtOnce, least: 40},
	{name: "snapshots-unread", run: snapshotsUnread, least: 20},

	// Requests.
	{name: "gets-at-once", run: getsAtOnce, least: 40_000},
	{name: "puts-at-once", run: putsAtOnce, least: 40_000},
	{name: "puts-while-writes-are-slow", run: putsWhileWritesAreSlow, least: 40_000, noPuts: true},
	{name: "big-puts-at-once", run: bigPutsAtOnce, least: 100, bulk: true},
	{name: "half-messages", run: halfMessages, least: 40, bulk: true},
	{name: "huge-transactions", run: hugeTransactions, least: 1},
	{name: "long-selectors", run: longSelectors, least: 100},
	{name: "changes-that-scan", run: changesThatScan, least: 100},
	{name: "locks", run: locks, least: 5000},
	{name: "elections", run: elections, least: 5000},
	{name: "lease-grants", run: leaseGrants, least: 10_000},
	{name: "keep-alives-unread", run: keepAlivesUnread, least: 1000},
	{name: "malformed-requests", run: malformedRequests, least: 1000},
	{name: "gzip-bombs", run: gzipBombs, least: 10},

	// Watches.
	{name: "watch-creates-unread", run: watchCreatesUnread, least: 1000},
	{name: "watches-created-and-canceled", run: watchesCreatedAndCanceled, least: 1000},
	{name: "many-watches", run: manyWatches, least: 10_000},
	{name: "malformed-watches", run: malformedWatches, least: 40},
	{name: "watches-of-the-past-unread", run: watchesOfThePastUnread, least: 110},
	{name: "watches-unread", run: watchesUnread, least: 20},

	// Frames.
	{name: "rapid-reset", run: rapidReset, least: 1000},
	{name: "headers-and-reset", run: headersAndReset, least: 1000},
	{name: "headers-alone", run: headersAlone, least: 1000},
	{name: "pings", run: pings, least: 1000},
	{name: "settings", run: settings, least: 1000},
	{name: "empty-data", run: emptyData, least: 1000},
	{name: "continuations", run: continuations, least: 1000},
	{name: "priorities", run: priorities, least: 1000},
	{name: "window-updates", run: windowUpdates, least: 1000},
	{name: "big-headers", run: bigHeaders, least: 100},

	// Connections.
	{name: "idle-connections", run: idleConnections, least: 5000},
	{name: "garbage", run: garbage, least: 100},
	{name: "slow-hellos", run: slowHellos, least: 1000},
	{name: "metrics-unread", run: metricsUnread, least: 200},
	{name: "tls-silence", run: tlsSilence, least: 1000, tls: true},
}
