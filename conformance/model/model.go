// Package model has clients do to a store what Kubernetes does, all at once, remembers what each was
// told, and in the end compares all of it with the history that the store itself tells.
//
// What it holds the store to:
//
//   - What was acknowledged is in the history, at its revision, as a whole and once.
//   - What was refused is not in it. Only Unavailable and a deadline leave open what became of a write.
//   - No revision is given to two writes, and none is left out.
//   - A linearizable answer is the state at the revision in its header, which is at least that of all
//     answers that had come before it was asked.
//   - A watch has each event of its range once and in order, from its first revision to its end.
//   - A lease that is kept alive keeps its keys; one that is not loses them, and not too early.
package model

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Event is a change of a key: what an event of a watch says.
type Event struct {
	Key, Value                string // no value: a deletion
	Revision, Create, Version int64
	Previous                  string
	PreviousRevision          int64
}

func eventOf(e *clientv3.Event) Event {
	found := Event{
		Key: string(e.Kv.Key), Value: string(e.Kv.Value),
		Revision: e.Kv.ModRevision, Create: e.Kv.CreateRevision, Version: e.Kv.Version,
	}
	if e.PrevKv != nil {
		found.Previous, found.PreviousRevision = string(e.PrevKv.Value), e.PrevKv.ModRevision
	}
	if (e.Type == mvccpb.DELETE) != (found.Value == "") {
		found.Value = "a deletion with a value, or a put without"
	}
	return found
}

// withoutPrevious is the event as a watch shows it that has not asked for what was before.
func (e Event) withoutPrevious() Event {
	e.Previous, e.PreviousRevision = "", 0
	return e
}

// attempt is a write: for each key the value that it gets, or "" for a deletion. Values are unique.
type attempt map[string]string

// isOutcome says whether an attempt can have made the change: only deletions may be missing in it.
func isOutcome(got, tried attempt) bool {
	for key, value := range got {
		if wanted, ok := tried[key]; !ok || wanted != value {
			return false
		}
	}
	for key, value := range tried {
		if _, ok := got[key]; !ok && value != "" {
			return false
		}
	}
	return true
}

func equal(a, b attempt) bool { return len(a) == len(b) && isOutcome(a, b) }

// brief shows what identifies a write.
func brief(writes attempt) map[string]string {
	short := map[string]string{}
	for key, value := range writes {
		short[key] = short12(value)
	}
	return short
}

func short12(value string) string { return value[:min(len(value), 12)] }

// unknown says whether an error leaves open what became of a write.
func unknown(err error) bool {
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	default:
		return false
	}
}

func code(err error) codes.Code {
	var known rpctypes.EtcdError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.As(err, &known):
		return known.Code()
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return codes.Canceled // the client's own, which sent nothing or gave up
}

func within(key, prefix string) bool { return strings.HasPrefix(key, prefix) }

func number(revision int64) string {
	if revision == 0 {
		return "not there"
	}
	return "of revision " + strconv.FormatInt(revision, 10)
}
