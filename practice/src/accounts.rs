//! Who there is: accounts exist by rule, so that a load of any size needs no set-up.
//!
//! In: a user name, an account id. Out: an [`Account`] with its role and its clinic.
//! Patient 7 is `p-7`, logs in as `patient-7` with `pw-7` and belongs to clinic 7;
//! clinician 27 is `c-27`, `clinician-27`, `pw-27`, of clinic 7 as well.

/// Accounts of each role: numbers from 0 up to this one, itself excluded.
const ACCOUNTS_PER_ROLE: u32 = 100_000;

/// Clinics, numbered from 0.
pub(crate) const CLINICS: u32 = 20;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Patient,
    Clinician,
}

impl Role {
    /// The word in answers and in user names.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Patient => "patient",
            Role::Clinician => "clinician",
        }
    }

    fn id_prefix(self) -> &'static str {
        match self {
            Role::Patient => "p",
            Role::Clinician => "c",
        }
    }
}

/// One account that exists by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) role: Role,
    number: u32,
}

impl Account {
    /// The account that logs in with this user name and password.
    pub(crate) fn by_log_in(username: &str, password: &str) -> Option<Account> {
        let account = Account::parse(username, Role::word)?;
        (password.strip_prefix("pw-")? == account.number.to_string()).then_some(account)
    }

    /// The account with this id, such as `p-7`.
    pub(crate) fn by_id(id: &str) -> Option<Account> {
        Account::parse(id, Role::id_prefix)
    }

    /// The patient with this id; a clinician's id is none.
    pub(crate) fn patient_by_id(id: &str) -> Option<Account> {
        Account::by_id(id).filter(|account| account.role == Role::Patient)
    }

    fn parse(text: &str, word: fn(Role) -> &'static str) -> Option<Account> {
        let (role, digits) = text.rsplit_once('-')?;
        let role = [Role::Patient, Role::Clinician].into_iter().find(|candidate| word(*candidate) == role)?;
        let number: u32 = digits.parse().ok()?;
        // Only the canonical spelling: `p-07` must not be a second name for `p-7`.
        let exists = number < ACCOUNTS_PER_ROLE && number.to_string() == digits;
        exists.then_some(Account { role, number })
    }

    /// The id in answers and in the database.
    pub(crate) fn id(self) -> String {
        format!("{}-{}", self.role.id_prefix(), self.number)
    }

    /// Some patients of a clinic: the first by their numbers.
    pub(crate) fn first_patients_of(clinic: u32, number: u32) -> impl Iterator<Item = Account> {
        (0..number).map(move |nth| Account { role: Role::Patient, number: clinic + nth * CLINICS })
    }

    /// The clinic that it belongs to.
    pub(crate) fn clinic(self) -> u32 {
        self.number % CLINICS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_in_by_rule() {
        let cases = [
            ("patient-0", "pw-0", Some("p-0")),
            ("patient-99999", "pw-99999", Some("p-99999")),
            ("clinician-41", "pw-41", Some("c-41")),
            ("patient-100000", "pw-100000", None),
            ("patient-7", "pw-8", None),
            ("patient-07", "pw-07", None),
            ("patient-+7", "pw-+7", None),
            ("nurse-7", "pw-7", None),
            ("patient", "pw-", None),
        ];
        for (username, password, id) in cases {
            let found = Account::by_log_in(username, password).map(Account::id);
            assert_eq!(found.as_deref(), id, "{username}");
        }
    }

    #[test]
    fn ids_read_back_with_their_clinic() {
        let account = Account::by_id("c-41").expect("it exists by rule");
        assert_eq!((account.id().as_str(), account.clinic()), ("c-41", 1));
        assert_eq!(Account::patient_by_id("c-41"), None);
        assert_eq!(Account::by_id("p-007"), None);
    }
}
