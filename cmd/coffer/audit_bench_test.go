package main

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkAudit puts and gets small objects by eight clients, with the audit log and without it.
func BenchmarkAudit(b *testing.B) {
	body := make([]byte, 4<<10)
	for _, verb := range []string{"PUT", "GET"} {
		for _, on := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/audit=%v", verb, on), func(b *testing.B) {
				r := inhabit(b, b.TempDir(), fmt.Sprintf("COFFER_AUDIT=%v", on))
				r.must(message{method: "PUT", target: "/bucket"})
				for n := range 64 {
					r.must(message{method: "PUT", target: fmt.Sprintf("/bucket/%d", n), body: body})
				}
				var next atomic.Int64
				b.SetParallelism(4) // on two processors
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						m := message{method: verb, target: fmt.Sprintf("/bucket/%d", next.Add(1)%64)}
						if verb == "PUT" {
							m.body = body
						}
						r.must(m)
					}
				})
			})
		}
	}
}
