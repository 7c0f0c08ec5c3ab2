package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// attackVariable makes an attacker of this program: it has an order as JSON.
	attackVariable = "HARIKUBE_HOSTILE_ATTACK"
	// pause is how long a client waits that was thrown out.
	pause = 20 * time.Millisecond
	// manyStatuses is where a count of what the server says ends.
	manyStatuses = 20
)

// order is what an attacker is told.
type order struct {
	Attack, Address, Metrics, Database string
	Time                               time.Duration
}

// deeds is what an attacker has done, and been told.
type deeds struct {
	Done    int64
	Answers map[string]int
	Errors  map[string]int
}

// attacker is one attack, in a process of its own: it is gone when the process is.
type attacker struct {
	order
	address string // of etcd's port
	ctx     context.Context
	done    atomic.Int64

	mu    sync.Mutex
	deeds deeds
}

// attackNow does what the order says for as long as it says, and prints what came of it.
func attackNow(text string) int {
	a := &attacker{deeds: deeds{Answers: map[string]int{}, Errors: map[string]int{}}}
	if err := json.Unmarshal([]byte(text), &a.order); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	a.address = a.order.Address
	ctx, cancel := context.WithTimeout(context.Background(), a.Time)
	defer cancel()
	a.ctx = ctx
	for _, kind := range attacks {
		if kind.name == a.Attack {
			kind.run(a)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deeds.Done = a.done.Load()
	_ = json.NewEncoder(os.Stdout).Encode(a.deeds)
	return 0
}

// clients runs n clients; each does its work again when the server throws it out, as long as the attack
// goes on.
func (a *attacker) clients(n int, work func(client int) error) {
	var all sync.WaitGroup
	for client := range n {
		all.Go(func() {
			for a.ctx.Err() == nil {
				if err := work(client); err != nil {
					a.failed(err)
				}
				a.wait(pause)
			}
		})
	}
	all.Wait()
}

// connections is clients of an HTTP/2 connection each.
func (a *attacker) connections(n int, how reading, work func(r *raw) error) {
	a.clients(n, func(int) error {
		r, err := a.dial(how)
		if err != nil {
			return err
		}
		defer r.Close()
		return work(r)
	})
}

// wait waits, at the most until the end of the attack.
func (a *attacker) wait(time_ time.Duration) {
	timer := time.NewTimer(time_)
	defer timer.Stop()
	select {
	case <-a.ctx.Done():
	case <-timer.C:
	}
}

// hold keeps what is open until the end of the attack.
func (a *attacker) hold() error {
	<-a.ctx.Done()
	return nil
}

func (a *attacker) answered(_ uint32, status string) { a.count(a.deeds.Answers, status) }

func (a *attacker) failed(err error) {
	if a.ctx.Err() != nil {
		return
	}
	// Without the addresses.
	var operation *net.OpError
	if number := syscall.Errno(0); errors.As(err, &number) {
		err = number
	} else if errors.As(err, &operation) {
		err = operation.Err
	}
	a.count(a.deeds.Errors, err.Error())
}

func (a *attacker) count(counts map[string]int, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(counts) >= manyStatuses && counts[what] == 0 {
		what = "other"
	}
	counts[what]++
}
