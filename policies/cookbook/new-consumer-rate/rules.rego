# In the first thirty days of a grant its consumer gets a hundred events a minute:
# enough to try, not enough to drain a register before anybody looks.
package gxbus.division.d440300

limits contains {"limit": 100, "per": "minute", "key": "grant"} if {
	input.action in {"forward", "query"}
	"440300" in input.provider.divisions
	began := time.parse_rfc3339_ns(input.grant.not_before)
	time.parse_rfc3339_ns(input.time) < time.add_date(began, 0, 0, 30)
}
