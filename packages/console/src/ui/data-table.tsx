import { Button, Skeleton } from '@mantine/core';
import { Link, type LinkProps } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import classes from './data-table.module.css';
import { Failure } from './page.tsx';

export interface Column<Row> {
  header: string;
  cell: (row: Row) => ReactNode;
  /** `medium`: left out where there is little room. On narrow screens each row becomes a card, with all that is left. */
  hide?: 'medium';
  align?: 'end';
  width?: string;
}

interface DataTableProps<Row> {
  /** What the rows are, for those who hear the page. */
  label: string;
  rows: Row[] | undefined;
  rowKey: (row: Row) => string;
  /** The first column's text becomes the link of the row. */
  link?: (row: Row) => Pick<LinkProps, 'to' | 'params' | 'search'>;
  columns: Column<Row>[];
  empty: ReactNode;
  error?: unknown;
  retry?: () => void;
  more?: { load: () => void; loading: boolean } | undefined;
  /** Rows that have just arrived. */
  isFresh?: (row: Row) => boolean;
}

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { label, rows, rowKey, link, columns, empty, error, retry, more, isFresh } = props;
  if (error && !rows) return <Failure error={error} {...(retry && { retry })} />;
  if (rows?.length === 0) return <div className={classes.frame}>{empty}</div>;
  return (
    <div className={classes.frame}>
      <div className={classes.scroll}>
        <table className={classes.table} aria-label={label} aria-busy={rows === undefined}>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column.header} scope="col" className={classesOf(column)} style={{ width: column.width }}>
                  {column.header}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows === undefined ? (
              <SkeletonRows columns={columns.length} />
            ) : (
              rows.map((row) => (
                <tr key={rowKey(row)} className={isFresh?.(row) ? classes.fresh : undefined}>
                  {columns.map((column, index) =>
                    index === 0 ? (
                      <td key={column.header} className={`${classes.primary} ${classesOf(column)}`}>
                        {link ? (
                          <Link {...link(row)} className={classes.link} data-row-link="">
                            {column.cell(row)}
                          </Link>
                        ) : (
                          <div>{column.cell(row)}</div>
                        )}
                      </td>
                    ) : (
                      <td key={column.header} className={classesOf(column)} data-label={column.header || undefined}>
                        <div>{column.cell(row)}</div>
                      </td>
                    ),
                  )}
                </tr>
              ))
            )}
          </tbody>
        </table>
      </div>
      {more && (
        <div className={classes.more}>
          <Button variant="subtle" color="gray" loading={more.loading} onClick={more.load}>
            Show more
          </Button>
        </div>
      )}
    </div>
  );
}

function classesOf({ hide, align }: Column<never>): string {
  return `${hide ? classes.medium : ''} ${align ? classes.end : ''}`;
}

function SkeletonRows({ columns }: { columns: number }) {
  return Array.from({ length: 6 }, (_, row) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: these rows have nothing else, and never move
    <tr key={row}>
      {Array.from({ length: columns }, (_, column) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <td key={column}>
          <Skeleton height={12} width={column === 0 ? '70%' : `${40 + ((row * 17 + column * 29) % 40)}%`} radius="xs" />
        </td>
      ))}
    </tr>
  ));
}
