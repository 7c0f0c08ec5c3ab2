package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// goal is a figure that is to be reached, and what was, on SQLite and on PostgreSQL.
type goal struct {
	load, to string
	wanted   [2]float64 // 0: nothing is wanted of this database
	atMost   bool
	reached  [2]string // a number, or why there is none
}

func (g goal) missed(database int) bool {
	value, err := strconv.ParseFloat(g.reached[database], 64)
	if err != nil || g.wanted[database] == 0 {
		return false
	}
	if g.atMost {
		return value > g.wanted[database]
	}
	return value < g.wanted[database]
}

func (g goal) shown(database int) string {
	value := cmp.Or(g.reached[database], "–")
	if g.missed(database) {
		return "**" + value + "**"
	}
	return value
}

func (g goal) wish() string {
	text := fmt.Sprintf("%.4g", g.wanted[0])
	if g.atMost {
		text = "at most " + text
	}
	switch g.wanted[1] {
	case g.wanted[0]:
		return text
	case 0:
		return text + " on SQLite"
	default:
		return fmt.Sprintf("%s, PostgreSQL %.4g", text, g.wanted[1])
	}
}

// goals prints what is to be reached beside what was.
func (r *report) goals() error {
	var goals []goal
	for _, of := range []func() ([]goal, error){r.etcdGoals, r.challengeGoals, r.bigGoals} {
		some, err := of()
		if err != nil {
			return err
		}
		goals = append(goals, some...)
	}
	r.printf("\n## What is to be reached\n\n")
	if len(goals) == 0 {
		r.printf("Not measured.\n")
		return nil
	}
	r.printf("Ratios at least, or at most where it says so. In bold what was not reached in this run; " +
		"[performance.md](performance.md) says why.\n\n| load | to | wanted | SQLite | PostgreSQL |\n|---|---|--:|--:|--:|\n")
	for _, g := range goals {
		r.printf("| %s | %s | %s | %s | %s |\n", g.load, g.to, g.wish(), g.shown(0), g.shown(1))
	}
	return nil
}

func (r *report) etcdGoals() ([]goal, error) {
	var results struct{ Rows []etcdRow }
	if there, err := r.load("etcd/results.json", &results); !there || err != nil {
		return nil, err
	}
	const rate, p99 = 0, 2
	against := func(load string, clients int, program string, figure int) (reached [2]string) {
		for i, peer := range []string{"harikube-sqlite", "harikube-postgres"} {
			for _, row := range results.Rows {
				if row.Load == load && row.Peer == peer && (row.Clients == clients || clients == 0) {
					reached[i] = row.Against[program][figure]
				}
			}
		}
		return reached
	}
	var goals []goal
	for _, clients := range []int{1, 16, 64, 256} {
		wanted := [2]float64{1, 0}
		if clients == 64 {
			wanted[1] = 0.7
		}
		title := fmt.Sprintf("puts, %d clients", clients)
		goals = append(goals, goal{strings.Replace(title, " 1 clients", " 1 client", 1), "etcd", wanted, false, against("puts", clients, "etcd", rate)})
	}
	return append(goals,
		goal{"creates, 64 clients", "kine on the same database", [2]float64{6, 6}, false, against("creates", 64, "kine", rate)},
		goal{"gets, 64 clients", "etcd", [2]float64{0.8, 0.8}, false, against("gets", 64, "etcd", rate)},
		goal{"lag of 1,000 watches, p99", "etcd", [2]float64{1, 1}, true, against("watch", 0, "etcd", p99)}), nil
}

func (r *report) challengeGoals() ([]goal, error) {
	var all []standing
	if there, err := r.load("kubernetes/challenge.json", &all); !there || err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, nil
	}
	// each asks for a figure of a system at a number of objects; 0 is none.
	each := func(objects int, figure func(ours, etcd, empty *standing) float64) (reached [2]string) {
		for i, system := range []string{"sqlite", "postgres"} {
			ours := find(all, system, objects, false)
			if ours == nil {
				continue
			}
			if value := figure(ours, find(all, "etcd", objects, false), find(all, system, counts(all)[0], false)); value != 0 {
				reached[i] = fmt.Sprintf("%.2f", value)
			}
		}
		return reached
	}
	byEtcd := func(ours, etcd, _ *standing) float64 {
		if etcd == nil || etcd.median().Score == 0 {
			return 0
		}
		return ours.median().Score / etcd.median().Score
	}
	const vanilla = "Kubernetes on etcd"
	most := slices.Max(counts(all))
	goals := []goal{
		{"challenge, points, empty store", vanilla, [2]float64{1, 1}, false, each(0, byEtcd)},
		{"challenge, points, 50,000 objects", vanilla, [2]float64{2, 2}, false, each(50_000, byEtcd)},
		{"challenge, points in an hour, empty store", fmt.Sprintf("the published %d", record), [2]float64{10, 10}, false,
			each(0, func(ours, _, _ *standing) float64 { return ours.median().Score / record })},
	}
	if most > 0 {
		objects := fmt.Sprintf("%d objects", most)
		goals = append(goals,
			goal{"challenge, points, " + objects, "own at 0", [2]float64{0.9, 0.9}, false,
				each(most, func(ours, _, _ *standing) float64 { return ours.ToEmpty })},
			goal{"memory of kube-apiserver after the challenge, " + objects, "own at 0", [2]float64{1.15, 1.15}, true,
				each(most, func(ours, _, empty *standing) float64 {
					if empty == nil || empty.Memory["kube-apiserver"] == 0 {
						return 0
					}
					return ours.Memory["kube-apiserver"] / empty.Memory["kube-apiserver"]
				})})
	}
	return goals, nil
}

func (r *report) bigGoals() ([]goal, error) {
	var all []bigStore
	if there, err := r.load("etcd/big.json", &all); !there || err != nil {
		return nil, err
	}
	var counted, started [2]string
	keys := 0
	for i, title := range []string{titles["sqlite"], titles["postgres"]} {
		for _, s := range all {
			if s.Title == title {
				counted[i], started[i] = fmt.Sprintf("%.2f", s.Count/s.Get), fmt.Sprintf("%.1f", s.Start/1000)
				keys = s.Keys
			}
		}
	}
	of := fmt.Sprintf("%d keys", keys)
	return []goal{
		{"count of " + of, "get", [2]float64{3, 3}, true, counted},
		{"start to first answer with " + of, "seconds", [2]float64{2, 2}, true, started},
	}, nil
}
