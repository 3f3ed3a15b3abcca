package gxbus.base_test

import data.gxbus.base

test_a_department_publishes_to_its_own_resource if {
	base.allow with input as published
	codes(base.deny) == set() with input as published
}

test_nobody_else_publishes_to_it if {
	not base.allow with input as published with input.resource.provider as "X"
	codes(base.deny) == {"publisher-not-owner"} with input as published with input.resource.provider as "X"
}

test_publishing_happens_at_the_providers_node if {
	not base.allow with input as published with input.stage as "consumer"
	codes(base.deny) == {"input-unsupported"} with input as published with input.stage as "consumer"
}

test_a_resource_that_is_not_shared_is_still_published if {
	base.allow with input as published with input.resource.sharing as {"type": "none"}
}

test_every_exchange_action_is_known if {
	every action in ["subscribe", "forward", "deliver"] {
		base.allow with input as request with input.action as action
	}
}

test_reserved_and_unknown_actions_are_denied if {
	every action in ["download", "", "Forward"] {
		not base.allow with input as request with input.action as action
		"input-unsupported" in codes(base.deny) with input as request with input.action as action
	}
}

test_an_empty_document_is_denied if {
	not base.allow with input as {}
	codes(base.deny) == {"input-unsupported"} with input as {}
}

test_another_version_is_denied if {
	every v in [0, 2, "1"] {
		not base.allow with input as request with input.version as v
	}
	not base.allow with input as published with input.version as 2
}

test_an_unknown_stage_is_denied if {
	not base.allow with input as request with input.stage as "middle"
}

test_a_party_without_its_divisions_is_denied if {
	not base.allow with input as request with input.consumer.divisions as []
	not base.allow with input as request with input.provider.divisions as []
	not base.allow with input as request with input.consumer.divisions as ["440000"]
}

test_two_nameless_departments_are_not_the_same if {
	nameless := json.patch(ungranted, [
		{"op": "replace", "path": "/consumer/department", "value": ""},
		{"op": "replace", "path": "/provider/department", "value": ""},
		{"op": "replace", "path": "/resource/provider", "value": ""},
	])
	not base.allow with input as nameless
}

test_the_provider_must_own_the_resource if {
	not base.allow with input as request with input.resource.provider as "X"
	codes(base.deny) == {"provider-mismatch"} with input as request with input.resource.provider as "X"
}

test_within_a_department_no_grant_is_needed if {
	every sharing in ["unconditional", "conditional", "none"] {
		base.allow with input as ungranted
			with input.consumer as provider
			with input.resource.sharing as {"type": sharing}
	}
}

test_a_resource_not_shared_is_denied_even_with_a_grant if {
	every sharing in ["none", "", "Unconditional", "open"] {
		not base.allow with input as request with input.resource.sharing.type as sharing
		"not-shared" in codes(base.deny) with input as request with input.resource.sharing.type as sharing
	}
}

test_a_resource_without_a_sharing_type_is_not_shared if {
	untyped := json.remove(request, ["/resource/sharing"])
	not base.allow with input as untyped
	"not-shared" in codes(base.deny) with input as untyped
	base.items == set() with input as untyped
}

test_every_reason_speaks_both_languages if {
	worst := json.patch(request, [
		{"op": "replace", "path": "/grant/consumer", "value": "X"},
		{"op": "replace", "path": "/grant/revoked", "value": true},
		{"op": "replace", "path": "/grant/suspended", "value": true},
		{"op": "replace", "path": "/grant/not_after", "value": "2026-03-01T00:00:00.000000000Z"},
		{"op": "replace", "path": "/grant/not_before", "value": "2026-05-01T00:00:00.000000000Z"},
		{"op": "replace", "path": "/purpose", "value": "reference"},
		{"op": "replace", "path": "/matter", "value": "m-2"},
		{"op": "add", "path": "/grant/mode", "value": "interface"},
		{"op": "replace", "path": "/directory/age_seconds", "value": 301},
		{"op": "add", "path": "/items", "value": ["score", "nothing"]},
	])
	reasons := base.deny with input as worst
	codes(reasons) == {
		"grant-mismatch", "grant-revoked", "grant-suspended", "grant-expired", "grant-not-yet-valid", "purpose-outside-grant",
		"purpose-outside-resource", "matter-outside-grant", "mode-outside-grant", "directory-stale", "items-unknown", "items-outside-grant", "no-items-left",
	}
	every r in reasons {
		r.zh != ""
		r.en != ""
	}
}
