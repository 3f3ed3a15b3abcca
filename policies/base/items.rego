# What passes, and what it looks like when it does.
# Items are handled as sets of ids: an item that is odd in some way is missing
# from the set that would let it through. Sets are also several times faster
# than a function called for each item.
package gxbus.base

default items := set()

items := asked if input.action == "publish"

items := asked if same_department

items := asked & (free_items | (granted_items - withheld_items)) if across_departments

# Nothing listed means everything that is allowed.
asked := all_items if count(requested_items) == 0

asked := requested_items & all_items if count(requested_items) > 0

requested_items := {id | some id in input.items}

all_items := {item.id | some item in input.resource.items}

granted_items := {id | some id in input.grant.items}

# An item's own sharing type wins over its resource's.
conditional_items := {item.id |
	some item in input.resource.items
	object.get(item, "sharing", input.resource.sharing.type) == "conditional"
}

unconditional_items := {item.id |
	some item in input.resource.items
	object.get(item, "sharing", input.resource.sharing.type) == "unconditional"
}

# Items that are never shared, whatever a grant says.
withheld_items := all_items - (conditional_items | unconditional_items)

# Unconditional items of an unconditional resource need no grant.
free_items contains id if {
	input.resource.sharing.type == "unconditional"
	some id in unconditional_items
}

# What an item of this meaning keeps when it leaves its department.
default_masks := {
	"id-number": {"method": "keep", "head": 6, "tail": 4},
	"phone": {"method": "keep", "head": 3, "tail": 4},
	"bank-card": {"method": "keep", "head": 0, "tail": 4},
	"name": {"method": "surname"},
	"address": {"method": "county"},
}

masks[item.id] := mask if {
	across_departments
	some item in input.resource.items
	item.id in lower_items
	mask := default_masks[item.semantic]
}

# Grade 4 never leaves its department, nor does what has no grade.
masks[id] := {"method": "drop"} if some id in dropped_items

# Grade 3 without a masking rule passes only where a grant names it.
masks[id] := {"method": "null"} if {
	across_departments
	some id in (unmasked_grade_3 - granted_items)
}

lower_items := {item.id |
	some item in input.resource.items
	item.grade in {1, 2, 3}
}

dropped_items contains id if {
	across_departments
	some id in (all_items - lower_items)
}

unmasked_grade_3 := {item.id |
	some item in input.resource.items
	item.grade == 3
} - {item.id |
	some item in input.resource.items
	default_masks[item.semantic]
}

deny contains {
	"code": "items-unknown",
	"zh": "请求了资源中没有的信息项；请对照目录检查信息项标识。",
	"en": "Items were asked for that the resource does not have; check the item ids against the directory.",
} if {
	exchange
	count(requested_items - all_items) > 0
}

deny contains {
	"code": "no-items-left",
	"zh": "按共享属性和授权，没有可以提供的信息项；请调整请求的信息项或申请授权。",
	"en": "Sharing attributes and grant leave no item to hand out; ask for other items or apply for a grant.",
} if {
	exchange
	count(items - dropped_items) == 0
}
