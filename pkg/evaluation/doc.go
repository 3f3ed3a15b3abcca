// Package evaluation computes the sharing-performance evaluation (共享绩效评价): from
// what the directory and the nodes' evidence say, by a scheme that is data, to
// figures that anybody who has the same inputs gets again. It is pure: it has no
// clock, opens no file and asks no node; those who call it hand in what counts and
// keep what comes out.
//
//	directory ── cases ──┐
//	                     ├── facts ── Compute ── Report ── Sign
//	evidence ── rollups ─┘
package evaluation
