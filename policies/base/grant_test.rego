package gxbus.base_test

import data.gxbus.base

denied_only_for(code, document) if {
	not base.allow with input as document
	codes(base.deny) == {code} with input as document
}

but(path, value) := json.patch(request, [{"op": "replace", "path": path, "value": value}])

test_a_live_grant_allows if {
	base.allow with input as request
	codes(base.deny) == set() with input as request
}

test_without_a_grant_conditional_is_denied if {
	not base.allow with input as ungranted
	"grant-missing" in codes(base.deny) with input as ungranted
}

test_a_grant_for_another_resource if denied_only_for("grant-mismatch", but("/grant/resource", "other"))

test_a_grant_for_another_department if denied_only_for("grant-mismatch", but("/grant/consumer", "other"))

test_a_revoked_grant if denied_only_for("grant-revoked", but("/grant/revoked", true))

test_a_suspended_grant if {
	denied_only_for("grant-suspended", but("/grant/suspended", true))
	denied_only_for("grant-suspended", json.remove(request, ["/grant/suspended"]))
}

test_a_grant_begins_at_its_first_instant if {
	base.allow with input as but("/grant/not_before", "2026-03-04T02:30:00.000000000Z")
	denied_only_for("grant-not-yet-valid", but("/grant/not_before", "2026-03-04T02:30:00.000000001Z"))
}

test_a_grant_ends_before_its_last_instant if {
	base.allow with input as but("/grant/not_after", "2026-03-04T02:30:00.000000001Z")
	denied_only_for("grant-expired", but("/grant/not_after", "2026-03-04T02:30:00.000000000Z"))
}

test_a_grant_may_run_to_the_end_of_the_calendar if {
	base.allow with input as but("/grant/not_after", "9999-12-31T23:59:59.000000000Z")
}

test_a_purpose_the_grant_does_not_cover if denied_only_for("purpose-outside-grant", but("/purpose", "verification"))

test_a_purpose_the_resource_does_not_list if {
	denied_only_for("purpose-outside-resource", but("/resource/sharing/purposes", ["verification"]))
}

by(action, mode) := json.patch(asked, [
	{"op": "replace", "path": "/action", "value": action},
	{"op": "add", "path": "/grant/mode", "value": mode},
])

test_a_grant_is_for_the_way_of_sharing_that_was_consented_to if {
	every action in ["subscribe", "forward", "deliver"] {
		base.allow with input as by(action, "batch")
		denied_only_for("mode-outside-grant", by(action, "interface"))
		denied_only_for("mode-outside-grant", by(action, "file"))
	}
	base.allow with input as by("query", "interface")
	denied_only_for("mode-outside-grant", by("query", "batch"))
	denied_only_for("mode-outside-grant", by("query", "file"))
}

test_a_grant_that_names_no_way_of_sharing_is_for_any if {
	every action in ["subscribe", "forward", "deliver", "query"] {
		base.allow with input as by(action, "")
		base.allow with input as json.remove(by(action, ""), ["/grant/mode"])
	}
}

test_where_no_grant_is_needed_its_way_of_sharing_does_not_matter if {
	base.allow with input as by("query", "batch") with input.resource.sharing as {"type": "unconditional"}
}

test_a_purpose_is_stated if {
	"purpose-missing" in codes(base.deny) with input as json.remove(unconditional, ["/purpose"])
	"purpose-missing" in codes(base.deny) with input as but("/purpose", "")
}

test_an_unconditional_resource_may_list_purposes_too if {
	limited := json.patch(unconditional, [{"op": "add", "path": "/resource/sharing/purposes", "value": ["verification"]}])
	denied_only_for("purpose-outside-resource", limited)
}

test_a_matter_the_grant_does_not_cover if {
	denied_only_for("matter-outside-grant", but("/matter", "m-2"))
	denied_only_for("matter-outside-grant", json.remove(request, ["/matter"]))
}

test_a_grant_without_matters_covers_any if {
	base.allow with input as json.remove(request, ["/grant/matters"]) with input.matter as "m-2"
}

test_items_outside_the_grant if {
	asked := json.patch(request, [{"op": "add", "path": "/items", "value": ["title", "score"]}])
	denied_only_for("items-outside-grant", asked)
}

test_a_replica_as_old_as_the_lease_will_do if {
	base.allow with input as but("/directory/age_seconds", 300)
	denied_only_for("directory-stale", but("/directory/age_seconds", 301))
	denied_only_for("directory-stale", but("/directory/age_seconds", -1))
	denied_only_for("directory-stale", json.remove(request, ["/directory/age_seconds"]))
}

test_unconditional_resources_do_without_grant_and_lease if {
	base.allow with input as unconditional with input.directory.age_seconds as 100000
}

test_a_conditional_item_is_left_out_without_a_grant if {
	base.allow with input as mixed
	items := base.items with input as mixed
	not "id_number" in items
	"title" in items
}

test_a_conditional_item_asked_for_by_name_needs_a_grant if {
	not base.allow with input as mixed with input.items as ["title", "id_number"]
	codes(base.deny) == {"grant-missing"} with input as mixed with input.items as ["title", "id_number"]
}

test_a_conditional_item_comes_with_a_live_grant if {
	base.allow with input as mixed with input.grant as request.grant
	"id_number" in base.items with input as mixed with input.grant as request.grant
}

test_a_grant_once_presented_must_be_live if {
	revoked := json.patch(request.grant, [{"op": "replace", "path": "/revoked", "value": true}])
	codes(base.deny) == {"grant-revoked"} with input as mixed with input.grant as revoked
}

test_a_grant_for_a_division_keeps_to_rows_about_it if {
	located := json.patch(request, [{"op": "add", "path": "/resource/items/-", "value": {"id": "where", "type": "C", "grade": 1, "semantic": "division"}}])
	base.rows == set() with input as located
	base.rows == {{"item": "where", "within": ["440106"]}} with input as located with input.grant.division as "440106"
}

test_a_range_that_nothing_keeps_to_is_denied if {
	narrow := json.patch(request, [{"op": "add", "path": "/grant/division", "value": "440106"}])
	located := json.patch(narrow, [{"op": "add", "path": "/resource/items/-", "value": {"id": "where", "type": "C", "grade": 1, "semantic": "division"}}])
	codes(base.deny) == {"range-unenforceable"} with input as narrow
	base.allow with input as located
	every all in ["440300", "440000"] {
		base.allow with input as narrow with input.grant.division as all
	}
}
