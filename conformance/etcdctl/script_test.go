package etcdctl

import (
	"fmt"
	"strings"
)

// step is one command of etcdctl.
type step struct {
	args  []string
	stdin string
	// until is what a command that does not end by itself prints last.
	until string
	// meanwhile runs while the command does.
	meanwhile []step
	// save is the name of a value for later steps, capture the regular expression that finds it.
	save, capture string
}

func (s step) name() string {
	return strings.ReplaceAll(strings.Join(s.args, " "), "/", "∕") + s.tag()
}

// tag tells steps apart whose arguments are the same.
func (s step) tag() string {
	if s.stdin == "" {
		return ""
	}
	return " < " + strings.ReplaceAll(strings.ReplaceAll(s.stdin, "/", "∕"), "\n", "; ")
}

// ctl is a command of words without spaces in them.
func ctl(line string) step { return step{args: strings.Fields(line)} }

func txn(stdin string, flags ...string) step {
	return step{args: append([]string{"txn"}, flags...), stdin: stdin}
}

func watch(until, line string, meanwhile ...step) step {
	return step{args: append([]string{"watch"}, strings.Fields(line)...), until: until, meanwhile: meanwhile}
}

func grant(name string, seconds int) step {
	return step{
		args: []string{"lease", "grant", fmt.Sprint(seconds)}, save: name, capture: `lease ([0-9a-f]+) granted`,
	}
}

// lines runs each line as a command.
func lines(text string) []step {
	var steps []step
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			steps = append(steps, ctl(line))
		}
	}
	return steps
}

func all(parts ...[]step) []step {
	var steps []step
	for _, part := range parts {
		steps = append(steps, part...)
	}
	return steps
}

// differences are known, each with the reason why it stays. The steps are compared all the same, and
// it is an error when one of these has become equal.
var differences = map[string]string{
	"endpoint status":                   noQuota,
	"endpoint status -w table":          noQuota,
	"endpoint status -w json":           noQuota,
	"endpoint status -w fields":         noQuota,
	"endpoint status --cluster -w json": noQuota,
	"endpoint hashkv --rev 40":          compacted,
	"endpoint hashkv":                   leaseIDs,
	"endpoint hashkv -w json":           leaseIDs,
	"endpoint hashkv -w table":          leaseIDs,
	"endpoint hashkv -w json --cluster": leaseIDs,
}

const (
	noQuota = "the database has no quota of ours"
	// To be looked into; before a compaction the hashes are equal.
	compacted = "after a compaction the hash is another one than etcd's"
	leaseIDs  = "the hash covers lease ids, which are random, and there are keys with a lease"
)

// script starts on an empty store. Revisions are the same on each server, so that later steps can
// name them.
var script = all(
	lines(`
		get none
		get none -w json
		get none -w fields
		get --prefix a --count-only -w fields
		put a 1
		put a 2 --prev-kv
		put b 1 -w json
		put b 2 -w json --prev-kv
		put b 3 -w fields --prev-kv
		put c 3
		put ab x
		put abc y
		put é ü
		put -- -dash -value
		put k1 z
		put k2 y
		put k3 x
		put k2 w
		get a
		get a -w json
		get a -w fields
		get a --hex
		get é
		get é -w json
		get é --hex
		get -- -dash
		get --prefix a
		get --prefix a -w json
		get --prefix a -w fields
		get a c
		get c a
		get --from-key k
		get --from-key b --limit 2 -w json
		get --from-key --keys-only a
		get --prefix --keys-only k
		get --prefix --keys-only k -w json
		get --prefix --keys-only k -w fields
		get --prefix --count-only k
		get --prefix --count-only k -w json
		get --prefix --count-only k -w fields
		get --prefix --print-value-only k
		get --print-value-only none
		get --prefix --limit 1 k -w json
		get --prefix --limit 2 k -w json
		get --prefix --limit 3 k -w json
		get --prefix --limit 0 k -w json
		get --prefix k --sort-by KEY --order DESCEND
		get --prefix k --sort-by VALUE
		get --prefix k --sort-by VALUE --order DESCEND --limit 1 -w json
		get --prefix k --sort-by CREATE --order DESCEND
		get --prefix k --sort-by MODIFY
		get --prefix k --sort-by MODIFY --order DESCEND --keys-only
		get --prefix k --sort-by VERSION --order DESCEND
		get --prefix k --order DESCEND
		get --prefix k --order ASCEND
		get --prefix k --sort-by WRONG
		get --prefix k --order WRONG
		get --prefix k --min-mod-rev 14 -w json
		get --prefix k --max-mod-rev 14 -w json
		get --prefix k --min-create-rev 13 --max-create-rev 13 -w json
		get --prefix k --max-create-rev 12 --limit 1 -w json
		get a --rev 2
		get a --rev 2 -w json
		get a --rev 1 -w json
		get --prefix k --rev 13
		get a --rev 99
		get a --rev -1
		get --prefix k --rev 99 --count-only
		get a --consistency s
		get a --consistency x
		get --prefix --from-key a
		get --count-only --keys-only --prefix k
		get --count-only --print-value-only --prefix k
		get --print-value-only a -w json
		get --print-value-only a -w fields
		get a -w simple
		get a -w table
		get a -w wrong
		get
		get a b c
		get --prefix -w json --rev 4 b
		put a --ignore-value
		put a 5 --ignore-value
		put none --ignore-value
		put none v --ignore-lease
		put none v --lease 1234
		put a v --lease x
		put
		del
		del a --prev-kv
		del a
		del a -w json
		del a --prev-kv -w fields
		del --prefix a --prev-kv -w json
		del none --prev-kv
		del k1 k3 --prev-kv
		del --from-key k3 --prev-kv
		del --prefix --from-key a
		put a 1
		put a 2
		put r/1 1
		put r/2 2
		put r/3 3
		del --range r/1 r/3
		del --prefix r/ -w json
		get --prefix r/ -w json
	`),
	[]step{
		// Interactive flag off: compares, success and failure requests, separated by empty lines.
		txn("mod(\"a\") > \"0\"\n\nput a 3\nget a\n\nget b\n\n"),
		txn("mod(\"a\") = \"0\"\n\nput a 4\n\nget a\nget b\n\n"),
		txn("mod(\"a\") < \"5\"\n\nput a 4\n\nget a\n\n"),
		txn("mod(\"a\") != \"0\"\n\nget a\n\n\n"),
		txn("create(\"new\") = \"0\"\n\nput new 1\n\nget new\n\n"),
		txn("create(\"new\") = \"0\"\n\nput new 2\n\nget new\n\n"),
		txn("c(\"new\") > \"1\"\n\nget new\n\n\n"),
		txn("version(\"new\") = \"1\"\n\nput new 3\n\n\n", "-w", "json"),
		txn("ver(\"new\") = \"1\"\n\nput new 4\n\n\n", "-w", "json"),
		txn("value(\"new\") = \"3\"\n\nget new\n\n\n", "-w", "fields"),
		txn("val(\"new\") > \"2\"\n\nget new\n\n\n"),
		txn("val(\"new\") < \"4\"\nmod(\"b\") = \"0\"\n\nget new\n\nget b\n\n"),
		txn("value(\"none\") = \"\"\n\nget a\n\nget b\n\n"),
		txn("value(\"none\") != \"x\"\n\nget a\n\nget b\n\n"),
		txn("value(\"none\") < \"x\"\n\nget a\n\nget b\n\n"),
		txn("\n\nget a\n\n"),
		txn("\nput t1 1\nput t2 2\ndel t1\nget --prefix t\n\n\n"),
		txn("\nput t1 1\nput t2 2\nput t3 3\n\n\n"),
		txn("\nput t1 4 --prev-kv\ndel --prefix t --prev-kv\nget --prefix t\n\n\n"),
		txn("\nput t1 1\nput t1 2\n\n\n"),
		txn("\ndel t4\n\n\n", "-w", "json"),
		txn("\nget --prefix a\nget b --rev 4\nget --prefix --count-only k\n\n\n", "-w", "json"),
		txn("\nget a --rev 99\n\n\n"),
		txn("\nput a v --lease 1234\n\n\n"),
		txn("\nput none --ignore-value\n\n\n"),
		txn("wrong\n\n\n\n"),
		txn("mod(\"a\") = \"x\"\n\n\n\n"),
		txn("size(\"a\") = \"0\"\n\n\n\n"),
		txn("\nwrong\n\n\n"),
		txn("mod(\"a\") > \"0\"\n\nput a 6\n\n\n", "-i"),
		txn("\n\n\n\n"),
	},
	[]step{
		ctl("put w/1 1"), ctl("put w/1 2"), ctl("put w/2 1"), ctl("del w/1"), ctl("put w/1 3"), ctl("put w/end 1"),
		watch("end", "--prefix w/ --rev 1"),
		watch("end", "--prefix w/ --rev 1 --prev-kv"),
		watch("end", "--prefix --rev 1 -w fields --prev-kv w/"),
		watch("2", "w/1 --rev 1"),
		watch("3", "w/1 --rev 3 --prev-kv"),
		watch("end", "--rev 20 w/ w0"),
		watch("dy9lbmQ=", "--prefix w/ --rev 1 -w json"),
		watch("dy9lbmQ=", "--prefix w/ --rev 1 --prev-kv -w json"),
		watch("later", "--prefix w/ --rev 39", ctl("put w/5 a"), ctl("put w/5 b"), ctl("del w/5"), ctl("put w/6 later")),
		watch("gone", "--prefix gone --prev-kv --rev 43", ctl("put gone 1"), ctl("del gone"), txn("\nput gone/1 2\nput gone/2 gone\n\n\n")),
		{args: []string{"watch", "--rev", "1", "w/end", "--", "sh", "-c", "echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"}, until: "PUT \"w/end\""},
		{args: []string{"watch", "-i"}, stdin: "watch w/end --rev 1\n", until: "end"},
	},
	lines(`
		watch
		watch --prefix w/ x
		get w/1 -w json
		endpoint hashkv --rev=45
		endpoint hashkv --rev 0
		endpoint hashkv --rev 2 -w json
	`),
	[]step{
		grant("lease", 100), grant("second", 200),
		ctl("lease list -w json"),
		ctl("put l/1 1 --lease ${lease}"), ctl("put l/2 2 --lease ${lease}"), ctl("put l/3 3 --lease ${second} -w json"),
		ctl("put l/3 4 --ignore-lease --prev-kv -w json"),
		ctl("put l/2 --ignore-value --lease ${second} --prev-kv"),
		ctl("put l/2 --ignore-value --ignore-lease"),
		ctl("get l/1 -w json"), ctl("get l/2 -w fields"),
		ctl("lease timetolive ${lease} --keys -w fields"),
		ctl("lease timetolive ${lease} --keys -w json"),
		ctl("lease timetolive ${lease} --keys"),
		ctl("lease timetolive ${lease}"),
		ctl("lease timetolive 1234"), ctl("lease timetolive 1234 -w json"), ctl("lease timetolive 1234 --keys -w fields"),
		ctl("lease keep-alive ${lease} --once"), ctl("lease keep-alive ${lease} --once -w json"), ctl("lease keep-alive ${lease} --once -w fields"),
		ctl("lease keep-alive 1234 --once"),
		ctl("lease revoke ${lease}"), ctl("lease revoke ${lease} -w json"), ctl("lease revoke 1234"), ctl("lease revoke x"),
		ctl("lease keep-alive ${lease} --once"),
		ctl("lease timetolive ${lease} --keys"),
		ctl("get --prefix l/"), ctl("get --prefix l/ --rev 50 -w json"),
		ctl("lease list"), ctl("lease list -w json"), ctl("lease list -w fields"),
		ctl("lease grant x"), ctl("lease grant 0"), ctl("lease grant -- -5"), ctl("lease grant 10000000000"), ctl("lease grant"),
		grant("third", 60),
		ctl("put l/4 4 --lease ${third}"), ctl("put l/4 5"), ctl("lease timetolive ${third} --keys"),
		ctl("lease revoke ${third} -w fields"), ctl("get l/4 -w json"),
	},
	lines(`
		endpoint hashkv -w json
		endpoint hashkv --rev 20
		endpoint hashkv --rev 1
		endpoint hashkv --rev 999
		compaction 999
		compaction x
		compaction
		compaction 20
		compaction 20
		compaction 10
		compaction 30 --physical
		compaction 40 --physical -w json
		get a --rev 39
		get a --rev 40
		get --prefix k --rev 3 --count-only
		endpoint hashkv --rev 39
		endpoint hashkv --rev 40
		endpoint hashkv --rev 45
		endpoint hashkv
		watch a --rev 2
		watch --prefix w/ --rev 39 --prev-kv
	`),
	[]step{
		watch("end", "--prefix w/ --rev 40 --prev-kv"),
		txn("\nget a --rev 3\n\n\n"),
	},
	lines(`
		endpoint status
		endpoint status -w table
		endpoint status -w json
		endpoint status -w fields
		endpoint health
		endpoint health -w table
		endpoint health -w json
		endpoint hashkv -w table
		endpoint hashkv -w json --cluster
		endpoint status --cluster -w json
		member list
		member list -w table
		member list -w json
		member list -w fields
		member list --hex -w json
		defrag
		defrag --cluster
		alarm list
		alarm disarm
		alarm list -w json
		auth status
		auth status -w json
		auth enable
		auth disable
		user list
		user list -w json
		user get root
		user delete nobody
		role list
		role list -w json
		role get nobody
		move-leader 1234
		member remove 1234
		downgrade validate 3.5
		downgrade cancel
		snapshot save ${folder}/snapshot.db
		snapshot save
		get --prefix -w json w/
		compaction 0
		wrong
	`),
)

// readsOfRestored are asked of the store and of the one that was restored from its snapshot.
var readsOfRestored = lines(`
	get --from-key a -w json
	get --prefix w/ --rev 50 -w json
	get a --rev 39
	get a --rev 40
	get a --rev 999
	lease list
	lease timetolive ${second} --keys -w json
	endpoint hashkv --rev 45
	endpoint hashkv
	put after restore -w json
	get after -w json
`)
