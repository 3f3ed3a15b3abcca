# What passes, and what it looks like when it does.
package gxbus.base

items contains item.id if {
	some item in input.resource.items
	asked_for(item)
	may_pass(item)
}

# Nothing listed means everything that is allowed.
asked_for(_) if count(requested_items) == 0

asked_for(item) if item.id in requested_items

may_pass(_) if input.action == "publish"

may_pass(_) if same_department

may_pass(item) if {
	across_departments
	item.id in free_items
}

may_pass(item) if {
	across_departments
	item.id in granted_items
	not withheld(item)
}

# Unconditional items of an unconditional resource need no grant.
free_items contains item.id if {
	input.resource.sharing.type == "unconditional"
	some item in input.resource.items
	item_sharing(item) == "unconditional"
}

# Items that are never shared, whatever a grant says.
withheld_items contains item.id if {
	some item in input.resource.items
	withheld(item)
}

withheld(item) if not shareable(item)

shareable(item) if item_sharing(item) in {"unconditional", "conditional"}

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
	mask := item_mask(item)
}

# Grade 4 never leaves its department.
item_mask(item) := {"method": "drop"} if not may_leave(item)

item_mask(item) := default_masks[item.semantic] if may_leave(item)

may_leave(item) if item.grade in {1, 2, 3}

# Grade 3 without a masking rule passes only where a grant names it.
item_mask(item) := {"method": "null"} if {
	item.grade == 3
	not has_default_mask(item)
	not granted(item)
}

has_default_mask(item) if default_masks[item.semantic]

granted(item) if item.id in granted_items

deny contains {
	"code": "items-unknown",
	"zh": "请求了资源中没有的信息项；请对照目录检查信息项标识。",
	"en": "Items were asked for that the resource does not have; check the item ids against the directory.",
} if {
	exchange
	known := {item.id | some item in input.resource.items}
	some id in requested_items
	not id in known
}

deny contains {
	"code": "no-items-left",
	"zh": "按共享属性和授权，没有可以提供的信息项；请调整请求的信息项或申请授权。",
	"en": "Sharing attributes and grant leave no item to hand out; ask for other items or apply for a grant.",
} if {
	exchange
	passing := {id | some id in items; not dropped(id)}
	count(passing) == 0
}

dropped(id) if masks[id].method == "drop"
