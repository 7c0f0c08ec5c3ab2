package etcdctl

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What has to differ between two servers: who they are, where they are, when it was, how large their
// files are, and what only Raft has.
var patterns = []struct {
	pattern *regexp.Regexp
	normal  string
}{
	{regexp.MustCompile(`"(ts|took|size)":"[^"]*"`), `"$1":"…"`},
	{regexp.MustCompile(`etcd-endpoints://0x[0-9a-f]+/`), `etcd-endpoints://…/`},
	{regexp.MustCompile(`"(cluster_id|member_id|raft_term|raftTerm|raftIndex|raftAppliedIndex|leader|dbSize|dbSizeInUse|ID)":\d+`), `"$1":…`},
	{regexp.MustCompile(`(?m)^"(ClusterID|MemberID|RaftTerm|RaftIndex|RaftAppliedIndex|Leader|DBSize|DBSizeInUse|ID)" ?: ?\d+`), `"$1" : …`},
	{regexp.MustCompile(`"(cluster_id|member_id|ID)":"[0-9a-f]+"`), `"$1":…`},
	{regexp.MustCompile(`LocalAddr: '[^']*'`), `LocalAddr: …`},
	{regexp.MustCompile(`lease [0-9a-f]{15,16} granted`), `lease … granted`},
	{regexp.MustCompile(`(remaining\(|"ttl":|"TTL" : )\d{2,}`), `$1…`}, // a lease's time passes
	{regexp.MustCompile(`\. took [\d.]+[µm]?s`), `. took …`},
	{regexp.MustCompile(`(?m)^[0-9a-f]{15,16}, started, default, http://[^,]*`), `…, started, default, …`},
	{regexp.MustCompile(`(ADDRESS), [0-9a-f]{15,16}, ([\d.]+, [\d.]+), [\d.]+ .?B, [\d.]+ .?B, \d+%, (.*), \d+, \d+, \d+, , ,`), `$1, …, $2, …, $3, …, , ,`},
	{regexp.MustCompile(`took = [\d.]+[µm]?s`), `took = …`},
	{regexp.MustCompile(`"peerURLs":\["[^"]*"\]`), `"peerURLs":…`},
	{regexp.MustCompile(`"PeerURL" : "[^"]*"`), `"PeerURL" : …`},
}

// columns are those of etcdctl's tables whose cells have to differ.
var columns = []string{
	"ID", "DB SIZE", "IN USE", "PERCENTAGE NOT IN USE", "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "PEER ADDRS", "TOOK",
}

func (s *subject) normal(text string) string {
	text = strings.ReplaceAll(text, s.server.Address, "ADDRESS")
	text = strings.ReplaceAll(text, s.folder, "FOLDER")
	for name, value := range s.values {
		text = strings.ReplaceAll(text, value, "${"+name+"}")
		// A lease is hexadecimal on the command line, and decimal in some outputs.
		if id, err := strconv.ParseInt(value, 16, 64); err == nil {
			text = strings.ReplaceAll(text, strconv.FormatInt(id, 10), "${"+name+"}")
		}
	}
	for _, p := range patterns {
		text = p.pattern.ReplaceAllString(text, p.normal)
	}
	var lines, header []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch at := strings.IndexByte(line, '|'); {
		case strings.Contains(line, "+--"):
			line = line[:strings.Index(line, "+--")] + "+--"
		case at >= 0 && strings.HasSuffix(line, "|"):
			cells := strings.Split(strings.Trim(line[at:], "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if header == nil {
				header = slices.Clone(cells)
			} else {
				for i := range cells {
					if i < len(header) && slices.Contains(columns, header[i]) {
						cells[i] = "…"
					}
				}
			}
			line = line[:at] + "| " + strings.Join(cells, " | ") + " |"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
