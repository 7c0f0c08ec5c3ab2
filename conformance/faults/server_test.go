package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/server"
)

// What happens to the server itself, on either database.
var serverRows = []row{
	{name: "clock an hour ahead", stores: both, setsClock: true, quick: true, lasts: 3 * time.Second, setup: (*site).preload, begin: setClock(time.Hour)},
	{name: "clock an hour behind", stores: both, setsClock: true, quick: true, lasts: 3 * time.Second, setup: (*site).preload, begin: setClock(-time.Hour)},
	{
		name: "clock jumps", stores: both, setsClock: true, lasts: 6 * time.Second, setup: (*site).preload,
		begin: func(s *site) func() {
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					case <-time.After(200 * time.Millisecond):
						s.shim.set(s.t, clock, rand.Int64N(int64(2*time.Hour))-int64(time.Hour))
					}
				}
			}()
			return func() {
				close(stop)
				<-done
				s.shim.set(s.t, clock, 0)
			}
		},
	},
	{
		name: "the server is stopped for a while", stores: both, stopsServer: true, lasts: 25 * time.Second,
		begin: func(s *site) func() {
			s.server.Signal(syscall.SIGSTOP)
			return func() { s.server.Signal(syscall.SIGCONT) }
		},
	},
	{name: "the server is killed", stores: both, quick: true, alone: true, stopsServer: true, restarts: true, begin: kill(2)},
	{name: "the server is killed again and again", stores: both, alone: true, stopsServer: true, restarts: true, begin: kill(6)},
	{
		// A transaction that the database works on for seconds, and goes on with.
		name: "the server is killed in a long transaction", stores: both, alone: true, stopsServer: true, restarts: true,
		begin: func(s *site) func() {
			end := s.deleteMany()
			kill(3)(s)
			return end
		},
	},
}

// deleteMany puts many keys and deletes them at once, over and over, until the function that it returns is
// called.
func (s *site) deleteMany() func() {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	client := server.Client(s.t, s.server.Address)
	running.Go(func() {
		defer client.Close()
		for ctx.Err() == nil {
			for i := 0; i < 3000 && ctx.Err() == nil; i += 100 {
				var puts []clientv3.Op
				for j := range 100 {
					puts = append(puts, clientv3.OpPut(fmt.Sprintf("/many/%d", i+j), "x"))
				}
				_, _ = client.Txn(ctx).Then(puts...).Commit()
			}
			_, _ = client.Delete(ctx, "/many/", clientv3.WithPrefix())
		}
	})
	return func() {
		stop()
		running.Wait()
	}
}

// setClock has the server's wall clock jump, and stay there: its end is no other jump.
func setClock(by time.Duration) func(*site) func() {
	return func(s *site) func() {
		s.shim.set(s.t, clock, int64(by))
		return func() {}
	}
}

// writeGap is the most that may lie between a supervisor's restart of the server and the first write.
const writeGap = 8 * time.Second

// kill is a crash of the server, some times, each followed by a restart and some writes.
func kill(times int) func(*site) func() {
	return func(s *site) func() {
		for range times {
			s.server.Signal(syscall.SIGKILL)
			killed := time.Now()
			restarted := <-s.restarted
			for !s.load.LastWrite().After(restarted) && time.Since(restarted) < 5*writeGap {
				time.Sleep(5 * time.Millisecond)
			}
			gap := s.load.LastWrite().Sub(restarted)
			s.t.Logf("killed, started again after %.2f s, at %s, the first write %.1f s after that",
				restarted.Sub(killed).Seconds(), restarted.UTC().Format("15:04:05.000"), gap.Seconds())
			if gap < 0 || gap > writeGap {
				s.t.Errorf("no write for %.1f s after the restart", time.Since(restarted).Seconds())
				break
			}
			time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		}
		return func() {}
	}
}
