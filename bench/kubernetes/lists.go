package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	listFor    = 2 * time.Second
	listRounds = 3 // at least
	pageSize   = 500
)

// listTime is what a list takes, in milliseconds.
type listTime struct {
	System      string
	Objects     int
	Title       string
	Found       int
	Median, Max float64
}

// listForm is a way to ask for objects of a store that holds so many.
type listForm struct {
	title string
	found func(objects int) int
	ask   func(ctx context.Context, c *cluster, old string) (found int, err error)
}

func byQuery(query string) func(context.Context, *cluster, string) (int, error) {
	return func(ctx context.Context, c *cluster, old string) (int, error) {
		answer, err := c.do(ctx, http.MethodGet, widgets+"?"+strings.ReplaceAll(query, "OLD", old), nil)
		return countWidgets(answer), err
	}
}

// countWidgets does so without reading the JSON: both systems are to be measured, not we.
func countWidgets(answer []byte) int {
	return bytes.Count(answer, []byte(`"color":"c`))
}

var (
	everything = func(objects int) int { return objects }
	tenGroups  = "labelSelector=" + url.QueryEscape("group in (g0,g1,g2,g3,g4,g5,g6,g7,g8,g9)")
	listForms  = []listForm{
		{"one object by a label", func(int) int { return 1 }, byQuery("labelSelector=name%3Dw77")},
		{"a hundredth by a label", func(n int) int { return n / 100 }, byQuery("labelSelector=group%3Dg7")},
		{"a hundredth by a label, at an old revision", func(n int) int { return n / 100 },
			byQuery("labelSelector=group%3Dg7&resourceVersionMatch=Exact&resourceVersion=OLD")},
		{"a tenth by a label", func(n int) int { return n / 10 }, byQuery(tenGroups)},
		{"all but a hundredth by a label", func(n int) int { return n - n/100 }, byQuery("labelSelector=group%21%3Dg7")},
		{"the first 500", func(int) int { return pageSize }, byQuery("limit=500")},
		{"everything in pages of 500", everything, inPages},
		{"everything at once", everything, byQuery("")},
		{"everything at an old revision", everything, byQuery("resourceVersionMatch=Exact&resourceVersion=OLD")},
		{"everything streamed", everything, streamed},
	}
)

func inPages(ctx context.Context, c *cluster, _ string) (found int, err error) {
	token := ""
	for {
		answer, err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s?limit=%d&continue=%s", widgets, pageSize, url.QueryEscape(token)), nil)
		if err != nil {
			return 0, err
		}
		found += countWidgets(answer)
		// The metadata of a list comes after its items here.
		var list struct {
			Metadata struct{ Continue string }
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			return 0, err
		}
		if token = list.Metadata.Continue; token == "" {
			return found, nil
		}
	}
}

// streamed reads a watch until it says that the objects of its beginning have come.
func streamed(ctx context.Context, c *cluster, _ string) (found int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+widgets+
		"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", nil)
	if err != nil {
		return 0, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewReaderSize(response.Body, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0, fmt.Errorf("the stream ended after %d objects: %w", found, err)
		}
		switch {
		case bytes.Contains(line, []byte(`"k8s.io/initial-events-end":"true"`)):
			return found, nil
		case bytes.HasPrefix(line, []byte(`{"type":"ERROR"`)):
			return 0, fmt.Errorf("the stream ended: %.300s", line)
		}
		found++
	}
}

// measureLists prints how long lists of all kinds take.
func measureLists(ctx context.Context, o options) error {
	_, err := each(ctx, o, "lists.json", listsOf)
	return err
}

func listsOf(ctx context.Context, o options, name string) ([]listTime, error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	if err := c.define(ctx, definition("bench.test", "Widget"), widgets); err != nil {
		return nil, err
	}
	store, err := c.storeClient()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var all []listTime
	for _, count := range o.counts {
		if err := c.load(ctx, store, count, c.storedWidget); err != nil {
			return nil, err
		}
		old, err := store.Get(ctx, prefix+"w0")
		if err != nil {
			return nil, err
		}
		// What is read at that revision is not what there is now.
		for i := range count / 100 {
			key, object := c.storedWidget(i * 100)
			if _, err := store.Put(ctx, key, stored(object)); err != nil {
				return nil, err
			}
		}
		if err := until(ctx, func() error {
			found, err := byQuery("labelSelector=name%3Dw77")(ctx, c, "")
			if err == nil && found != 1 {
				err = errors.New("the API server does not know the objects yet")
			}
			return err
		}); err != nil {
			return nil, err
		}
		for _, form := range listForms {
			t, err := c.timeList(ctx, form, fmt.Sprint(old.Header.Revision))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", form.title, err)
			}
			fmt.Printf("    %d objects, %s: %d in %.1f ms\n", count, t.Title, t.Found, t.Median)
			all = append(all, t)
		}
	}
	return all, nil
}

// timeList asks once to warm up, unless that takes long, and then for a while; the median counts.
func (c *cluster) timeList(ctx context.Context, form listForm, old string) (listTime, error) {
	var times []float64
	found := 0
	for begin, warm := time.Now(), false; len(times) < listRounds || time.Since(begin) < listFor; warm = true {
		began := time.Now()
		var err error
		if found, err = form.ask(ctx, c, old); err != nil {
			return listTime{}, err
		}
		if want := form.found(c.objects); found != want {
			return listTime{}, fmt.Errorf("%d objects, not %d", found, want)
		}
		if took := time.Since(began); warm || took > listFor {
			times = append(times, took.Seconds()*1000)
		}
	}
	slices.Sort(times)
	return listTime{c.name, c.objects, form.title, found, times[len(times)/2], times[len(times)-1]}, nil
}
