package controlplane

import (
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
)

// Control planes that start at the same time take their ports seconds after they have chosen them.
func TestFreePortIsGivenOnce(t *testing.T) {
	var lock sync.Mutex
	var starts sync.WaitGroup
	seen := map[int]bool{}
	for range 8 {
		starts.Go(func() {
			for range 250 {
				port, err := FreePort()
				lock.Lock()
				if err != nil || seen[port] {
					t.Errorf("port %d was given before, or none: %v", port, err)
				}
				seen[port] = true
				lock.Unlock()
			}
		})
	}
	starts.Wait()
}

// TestAPortIsFreeWhileProgramsAreStarted looks at ports while others start programs, which hold our listeners for a moment.
func TestAPortIsFreeWhileProgramsAreStarted(t *testing.T) {
	var stop atomic.Bool
	var starting sync.WaitGroup
	defer starting.Wait()
	defer stop.Store(true)
	for range 4 {
		starting.Go(func() {
			for !stop.Load() {
				_ = exec.Command("true").Run()
			}
		})
	}
	for range 300 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		c := ControlPlane{config: Config{Port: port}}
		if _, err := c.choosePort(); err != nil {
			t.Fatal(err)
		}
	}
}
