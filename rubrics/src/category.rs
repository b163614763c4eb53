use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use shipworthy_schema::CriterionId;

use crate::Criterion;

/// A named group of criteria, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// Heading in reports, unique within the rubric.
    pub name: String,
    /// The criteria, in the rubric's order.
    pub criteria: Vec<Criterion>,
}

/// All categories of a rubric; their names and their criteria's ids are unique.
///
/// Read by hand rather than derived, so that the second use of a name is reported where it
/// stands: what was seen so far travels down with the seeds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Categories(pub(crate) Vec<Category>);

#[derive(Default)]
struct Seen {
    categories: BTreeSet<String>,
    criteria: BTreeSet<CriterionId>,
}

impl<'de> Deserialize<'de> for Categories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CategoriesVisitor)
    }
}

struct CategoriesVisitor;

impl<'de> Visitor<'de> for CategoriesVisitor {
    type Value = Categories;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of categories")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Categories, A::Error> {
        let mut seen = Seen::default();
        let mut categories = Vec::new();
        while let Some(category) = seq.next_element_seed(CategorySeed(&mut seen))? {
            categories.push(category);
        }
        if categories.is_empty() {
            return Err(Error::custom("the rubric has no criteria"));
        }
        Ok(Categories(categories))
    }
}

struct CategorySeed<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for CategorySeed<'_> {
    type Value = Category;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Category, D::Error> {
        deserializer.deserialize_struct("Category", &["name", "criteria"], self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum CategoryField {
    Name,
    Criteria,
}

impl<'de> Visitor<'de> for CategorySeed<'_> {
    type Value = Category;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a category with `name` and `criteria`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Category, A::Error> {
        let (mut name, mut criteria) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                CategoryField::Name => name = Some(map.next_value_seed(NameSeed(self.0))?),
                CategoryField::Criteria => {
                    criteria = Some(map.next_value_seed(CriteriaSeed(self.0))?);
                }
            }
        }
        Ok(Category {
            name: name.ok_or_else(|| Error::missing_field("name"))?,
            criteria: criteria.ok_or_else(|| Error::missing_field("criteria"))?,
        })
    }
}

struct NameSeed<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a category's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        let name = name.trim().to_owned();
        if name.is_empty() {
            Err(E::custom("the category's name is empty"))
        } else if self.0.categories.insert(name.clone()) {
            Ok(name)
        } else {
            Err(E::custom(format_args!("category `{name}` stands twice")))
        }
    }
}

struct CriteriaSeed<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for CriteriaSeed<'_> {
    type Value = Vec<Criterion>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for CriteriaSeed<'_> {
    type Value = Vec<Criterion>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of criteria")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut criteria = Vec::new();
        while let Some(criterion) = seq.next_element_seed(CriterionSeed(self.0))? {
            criteria.push(criterion);
        }
        if criteria.is_empty() {
            return Err(Error::custom("the category has no criteria"));
        }
        Ok(criteria)
    }
}

struct CriterionSeed<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for CriterionSeed<'_> {
    type Value = Criterion;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Criterion, D::Error> {
        let criterion = Criterion::deserialize(deserializer)?;
        if self.0.criteria.insert(criterion.id().clone()) {
            Ok(criterion)
        } else {
            let id = criterion.id();
            Err(Error::custom(format_args!(
                "criterion id `{id}` stands twice"
            )))
        }
    }
}
