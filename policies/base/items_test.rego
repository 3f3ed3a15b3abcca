package gxbus.base_test

import data.gxbus.base

test_granted_items_pass_and_others_do_not if {
	base.items == {"title", "id_number", "phone", "holder", "address", "card", "uscc", "key"} with input as request
}

test_only_what_was_asked_for_passes if {
	base.items == {"title", "phone"} with input as request with input.items as ["phone", "title", "hidden"]
	base.allow with input as request with input.items as ["phone", "title", "hidden"]
}

test_within_a_department_everything_passes_unmasked if {
	base.items == {i.id | some i in resource_items} with input as ungranted with input.consumer as provider
	base.masks == {} with input as ungranted with input.consumer as provider
	base.items == {"key"} with input as ungranted with input.consumer as provider with input.items as ["key"]
}

test_unconditional_items_pass_without_a_grant if {
	base.items == {i.id | some i in resource_items; i.id != "hidden"} with input as unconditional
}

test_an_item_of_an_unknown_sharing_type_is_withheld if {
	odd := json.patch(request, [{"op": "add", "path": "/resource/items/0/sharing", "value": "perhaps"}])
	not "title" in base.items with input as odd
}

test_masks_follow_the_meaning_of_items if {
	masks := base.masks with input as request
	masks.id_number == {"method": "keep", "head": 6, "tail": 4}
	masks.phone == {"method": "keep", "head": 3, "tail": 4}
	masks.card == {"method": "keep", "head": 0, "tail": 4}
	masks.holder == {"method": "surname"}
	masks.address == {"method": "county"}
	not masks.title
}

test_grade_four_is_dropped_whatever_it_means if {
	masks := base.masks with input as request
	masks.key == {"method": "drop"}
	secret := json.patch(request, [{"op": "replace", "path": "/resource/items/2/grade", "value": 4}])
	base.masks.phone == {"method": "drop"} with input as secret
}

test_a_grade_out_of_range_is_dropped if {
	odd := json.patch(request, [{"op": "replace", "path": "/resource/items/0/grade", "value": 0}])
	base.masks.title == {"method": "drop"} with input as odd
	ungraded := json.remove(request, ["/resource/items/0/grade"])
	base.masks.title == {"method": "drop"} with input as ungraded
}

test_grade_three_without_a_mask_is_null_unless_granted if {
	masks := base.masks with input as unconditional
	masks.score == {"method": "null"}
	masks.uscc == {"method": "null"}
	granted := base.masks with input as request
	granted.score == {"method": "null"}
	not granted.uscc
}

test_nothing_left_is_a_denial if {
	denied_only_for("no-items-left", but("/grant/items", ["hidden"]))
	denied_only_for("no-items-left", but("/grant/items", ["key"]))
}

test_items_the_resource_does_not_have if {
	asked := json.patch(unconditional, [{"op": "add", "path": "/items", "value": ["title", "nothing"]}])
	denied_only_for("items-unknown", asked)
}

test_publishing_is_not_masked if {
	base.masks == {} with input as published
	count(base.items) == count(resource_items) with input as published
}
