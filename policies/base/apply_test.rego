package gxbus.base_test

import data.gxbus.base

applied := json.patch(ungranted, [
	{"op": "replace", "path": "/action", "value": "apply"},
	{"op": "replace", "path": "/stage", "value": "consumer"},
])

test_every_department_applies_for_every_resource if {
	every sharing in ["unconditional", "conditional", "none"] {
		base.allow with input as applied with input.resource.sharing as {"type": sharing}
		codes(base.deny) == set() with input as applied with input.resource.sharing as {"type": sharing}
	}
}

test_applying_happens_at_the_applicants_node if {
	not base.allow with input as applied with input.stage as "provider"
	codes(base.deny) == {"input-unsupported"} with input as applied with input.stage as "provider"
}

test_nobody_applies_without_a_department if {
	every who in [{}, {"role": "auditor"}, {"department": "C"}, {"department": "", "divisions": []}] {
		not base.allow with input as applied with input.consumer as who
	}
	not base.allow with input as applied with input.provider.divisions as []
}

test_applying_hands_out_no_items if {
	base.items == set() with input as applied
}
