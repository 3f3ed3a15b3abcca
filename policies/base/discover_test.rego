package gxbus.base_test

import data.gxbus.base

sought := json.remove(
	json.patch(request, [
		{"op": "replace", "path": "/action", "value": "discover"},
		{"op": "replace", "path": "/stage", "value": "consumer"},
	]),
	["/grant", "/purpose", "/matter"],
)

test_every_department_finds_every_published_resource if {
	every sharing in ["unconditional", "conditional", "none"] {
		base.allow with input as sought with input.resource.sharing as {"type": sharing}
		codes(base.deny) == set() with input as sought with input.resource.sharing as {"type": sharing}
	}
}

test_every_administrator_does if {
	every role in ["system-administrator", "security-administrator", "auditor"] {
		base.allow with input as sought with input.consumer as {"role": role}
	}
}

test_nobody_else_does if {
	every who in [{}, {"role": "operator"}, {"role": "auditor", "department": ""}, {"department": "C"}, {"department": "", "divisions": []}] {
		not base.allow with input as sought with input.consumer as who
		codes(base.deny) == {"input-unsupported"} with input as sought with input.consumer as who
	}
}

test_discovering_happens_at_the_seekers_node if {
	not base.allow with input as sought with input.stage as "provider"
}

test_a_resource_of_no_known_provider_is_not_found if {
	not base.allow with input as sought with input.provider.divisions as []
}

test_discovering_hands_out_no_items if {
	base.items == set() with input as sought
}
